import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { CausalLm } from "@fdiv/models";
import { saveCausalLm } from "@fdiv/models/node";
import { adamW } from "@fdiv/tensor-core";
import { type BatchSource, schedule, type TrainOptions, type TrainResult, train } from "@fdiv/trainer";
import { openRun } from "@fdiv/trainer/node";
import type * as tf from "@tensorflow/tfjs-core";
import type { DpoConfig, SftConfig } from "../config/schemas.ts";
import { Interrupted } from "../failure.ts";
import type { Session } from "../session.ts";
import { saveWithAdapter } from "./adapter.ts";
import { mebibytes } from "./open-model.ts";
import { cutSamples } from "./sample-log.ts";

/** What a configuration says of training, whatever the method. */
export type TrainingConfig = Pick<DpoConfig, keyof DpoConfig & keyof SftConfig & TrainingKey>;
type TrainingKey =
  | "output"
  | "epochs"
  | "steps"
  | "learningRate"
  | "beta1"
  | "beta2"
  | "epsilon"
  | "weightDecay"
  | "keep"
  | "schedule"
  | "warmup"
  | "gradientClip"
  | "checkpointEvery"
  | "evaluateEvery"
  | "patience"
  | "restoreBest"
  | "batchSize";

export interface TrainingRun<M> {
  config: TrainingConfig;
  /** What is trained. */
  parameters: ReadonlyMap<string, tf.Variable>;
  /** Writes the trained model to the run directory. */
  save(): Promise<void>;
  batches: BatchSource<M>;
  /** Identifies the data and the reference. */
  dataFingerprint: string;
  dataReport: string;
  label: string;
  resume: boolean;
  task: Pick<
    TrainOptions<M>,
    | "loss"
    | "examples"
    | "tokens"
    | "describe"
    | "evaluate"
    | "observe"
    | "observeEvery"
    | "best"
    | "callbacks"
    | "taskState"
  >;
}

export function stepsOf({ steps, epochs }: TrainingConfig, stepsPerEpoch: number): number {
  const all = Math.max(1, Math.round(epochs * stepsPerEpoch));
  return steps === undefined ? all : Math.min(steps, all);
}

/**
 * Trains into the run directory: data report, metrics, checkpoints, and at the end the model in Hugging Face layout.
 *
 * @throws Interrupted once an interrupted run is saved
 */
export async function runTraining<M>(run: TrainingRun<M>, session: Session): Promise<TrainResult> {
  const { config, parameters, batches } = run;
  const steps = stepsOf(config, batches.stepsPerEpoch);
  const optimizer = adamW({
    learningRate: config.learningRate,
    beta1: config.beta1,
    beta2: config.beta2,
    epsilon: config.epsilon,
    weightDecay: config.weightDecay,
  });
  const { output, ...rest } = config;
  const fingerprint = createHash("sha256")
    .update(JSON.stringify([rest, run.dataFingerprint]))
    .digest("hex");
  const store = await openRun({
    directory: output,
    parameters,
    optimizer,
    config,
    texts: { "data-report.txt": `${run.dataReport}\n` },
    fingerprint,
    resume: run.resume,
    keep: config.keep,
    tell: session.warn,
  });
  try {
    const shown = session.progress({ label: run.label });
    const { callbacks = {} } = run.task;
    const result = await train({
      ...run.task,
      parameters,
      optimizer,
      batches,
      steps,
      store: {
        ...store,
        async resume() {
          const state = await store.resume();
          await cutSamples(output, state?.step ?? -1);
          return state;
        },
      },
      resume: run.resume,
      signal: session.signal,
      learningRate: config.learningRate,
      schedule: schedule({ kind: config.schedule, steps, warmup: config.warmup }),
      gradientClip: config.gradientClip,
      checkpointEvery: config.checkpointEvery,
      ...(config.evaluateEvery !== undefined && { evaluateEvery: config.evaluateEvery }),
      ...(config.patience !== undefined && { patience: config.patience }),
      callbacks: {
        ...shown,
        onStep(row) {
          shown.onStep?.(row);
          callbacks.onStep?.(row);
        },
        onEvaluation(step, metrics) {
          shown.onEvaluation?.(step, metrics);
          callbacks.onEvaluation?.(step, metrics);
        },
      },
    });
    session.say(`peak of memory: ${mebibytes(process.resourceUsage().maxRSS * 1024)}`);
    if (result.stopped === "interrupted")
      throw new Interrupted(
        `Stopped after step ${result.steps} of ${steps}; everything is saved in ${output}. Add --resume to go on.`,
      );
    const wasBetter = result.best && result.best.step !== result.steps;
    if (wasBetter && config.restoreBest && (await store.restoreBest()))
      session.say(`the best evaluation was at step ${result.best!.step}; its parameters are the ones saved`);
    else if (wasBetter)
      session.say(
        `the best evaluation was at step ${result.best!.step} (in ${join(output, "best")}); the last parameters are the ones saved`,
      );
    await run.save();
    return result;
  } finally {
    optimizer.dispose();
    await store.close();
  }
}

/** The whole model, an adapter merged in, under `model`; the adapter itself beside it. */
export const saveModel = (
  model: CausalLm,
  { output, dtype }: Pick<DpoConfig, "output" | "dtype">,
): Promise<void> => saveWithAdapter(model, saveCausalLm, (name) => join(output, name), { dtype });

/** Whether a run already ended: its final model is there. */
export const isFinished = (output: string): boolean => existsSync(join(output, "model", "config.json"));

/** What a dry run says in place of training. */
export function planText(config: TrainingConfig, stepsPerEpoch: number, unit: string): string {
  const steps = stepsOf(config, stepsPerEpoch);
  return `would train ${steps} steps of ${config.batchSize} ${unit} (${(steps / stepsPerEpoch).toFixed(2)} epochs) into ${config.output}`;
}
