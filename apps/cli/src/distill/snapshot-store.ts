import type { Snapshot } from "@fdiv/distill";
import type { Optimizer } from "@fdiv/tensor-core";
import type { StepRow } from "@fdiv/trainer";
import { openRun, type Run, type RunOptions } from "@fdiv/trainer/node";
import * as tf from "@tensorflow/tfjs-core";
import { Interrupted } from "../failure.ts";
import type { Session } from "../session.ts";

/** What can be saved whole and goes on exactly. */
export interface Resumable {
  save(): Promise<Snapshot>;
  load(snapshot: Snapshot): void;
}

/** A run directory whose checkpoints are snapshots. */
export interface SnapshotRun {
  store: Run;
  /** Goes on from the last whole checkpoint, if there is one; its step, or 0. */
  restore(what: Resumable): Promise<number>;
  checkpoint(what: Resumable, step: number): Promise<void>;
}

/** Opens a run directory for snapshots; a checkpoint holds their numbers where an optimiser's are otherwise. */
export async function openSnapshotRun(
  options: Omit<RunOptions, "parameters" | "optimizer">,
): Promise<SnapshotRun> {
  let held: Snapshot = { tensors: new Map(), json: {} };
  const carrier: Optimizer = {
    step: () => undefined,
    iterations: 0,
    state: () => ({
      tensors: new Map(
        [...held.tensors].map(([name, { shape, values }]) => [name, tf.tensor(values, shape, "float32")]),
      ),
      iteration: 0,
    }),
    load({ tensors }) {
      held = {
        json: {},
        tensors: new Map(
          [...tensors].map(([name, tensor]) => [
            name,
            { shape: [...tensor.shape], values: Float32Array.from(tensor.dataSync()) },
          ]),
        ),
      };
    },
    dispose: () => undefined,
  };
  const store = await openRun({ ...options, parameters: new Map(), optimizer: carrier });
  return {
    store,
    async restore(what) {
      if (!options.resume) return 0;
      const state = await store.resume();
      if (!state) return 0;
      what.load({ tensors: held.tensors, json: state.task as Snapshot["json"] });
      held = { tensors: new Map(), json: {} };
      return state.step;
    },
    async checkpoint(what, step) {
      held = await what.save();
      tf.engine().startScope();
      try {
        await store.checkpoint(
          { step, evaluationsWithoutGain: 0, evaluatedAt: -1, task: held.json },
          "regular",
        );
      } finally {
        tf.engine().endScope();
        held = { tensors: new Map(), json: {} };
      }
    },
  };
}

export interface SteppingOptions<R> {
  run: SnapshotRun;
  what: Resumable & AsyncIterable<R>;
  /** The step that the run stands at. */
  from: number;
  steps: number;
  batchSize: number;
  label: string;
  checkpointEvery: number;
  /** A row's figures for the log. */
  figures(row: R): Record<string, number> & { loss: number; gradientNorm: number; learningRate: number };
  /** After a step was logged. */
  onStep?(step: number): Promise<void>;
  session: Session;
  /** Named when it is interrupted. */
  output: string;
}

/**
 * Takes the steps that are left, logging each and saving now and then.
 *
 * @throws Interrupted once an interrupted run is saved
 */
export async function takeSteps<R>(options: SteppingOptions<R>): Promise<void> {
  const { run, what, steps, session, output, label } = options;
  const shown = session.progress({ label });
  let step = options.from;
  let saved = step;
  shown.onStart?.({ step, steps, resumed: step > 0 });
  const save = async (): Promise<void> => {
    if (saved === step) return;
    await run.checkpoint(what, step);
    saved = step;
  };
  try {
    let started = performance.now();
    for await (const row of what) {
      step++;
      const seconds = (performance.now() - started) / 1e3;
      const logged: StepRow = {
        step,
        epoch: step / steps,
        ...options.figures(row),
        examplesPerSecond: options.batchSize / seconds,
        seconds,
      };
      await run.store.row(logged);
      shown.onStep?.(logged);
      await options.onStep?.(step);
      if (step % options.checkpointEvery === 0) await save();
      // One turn of the event loop, so that a signal is heard.
      await new Promise((resolve) => setImmediate(resolve));
      if (session.signal.aborted && step < steps) {
        await save();
        throw new Interrupted(
          `Stopped after step ${step} of ${steps} of ${label}; everything is saved in ${output}. Add --resume to go on.`,
        );
      }
      started = performance.now();
    }
    await save();
  } finally {
    shown.onEnd?.(undefined);
  }
}
