import type { StepRow as TrainingRow } from "@fdiv/trainer";
import type { Run } from "@fdiv/trainer/node";
import type * as tf from "@tensorflow/tfjs-core";
import type { Session } from "../session.ts";

/** A run that can be stopped between two of its steps and continued from its state. */
export interface Steppable<R> extends AsyncIterable<R> {
  state(): { progress: { step: number }; tensors: ReadonlyMap<string, tf.Tensor> };
}

export interface StepsOptions<R> {
  label: string;
  steps: number;
  checkpointEvery: number;
  samplesEvery: number;
  store: Run;
  session: Session;
  /** What is written of a row. */
  figures(row: R, seconds: number): TrainingRow;
  logSamples(step: number): Promise<void>;
  /** Hears of the state's tensors before a checkpoint is written. */
  show?(tensors: ReadonlyMap<string, tf.Tensor>): void;
}

/** Takes the steps that are left; the step it was interrupted after, if it was. */
export async function takeSteps<R extends { step: number }>(
  run: Steppable<R>,
  options: StepsOptions<R>,
): Promise<number | undefined> {
  const { store, session, steps } = options;
  const shown = session.progress({ label: options.label });
  let step = run.state().progress.step;
  let saved = step;
  shown.onStart?.({ step, steps, resumed: step > 0 });
  const save = async (): Promise<void> => {
    if (saved === step) return;
    const { progress, tensors } = run.state();
    options.show?.(tensors);
    await store.checkpoint({ step, evaluationsWithoutGain: 0, evaluatedAt: -1, task: progress }, "regular");
    saved = step;
  };
  try {
    let started = performance.now();
    for await (const row of run) {
      step = row.step;
      const figures = options.figures(row, (performance.now() - started) / 1e3);
      await store.row(figures);
      shown.onStep?.(figures);
      if (step % options.samplesEvery === 0) await options.logSamples(step);
      if (step % options.checkpointEvery === 0) await save();
      // One turn of the event loop, so that a signal is heard.
      await new Promise((resolve) => setImmediate(resolve));
      if (session.signal.aborted && step < steps) {
        await save();
        return step;
      }
      started = performance.now();
    }
    await save();
    return undefined;
  } finally {
    shown.onEnd?.(undefined);
  }
}
