import type { Optimizer } from "@fdiv/tensor-core";
import type * as tf from "@tensorflow/tfjs-core";
import type { BatchSource } from "./batches.ts";
import { optimiserStep } from "./optimiser-step.ts";
import type { Schedule } from "./schedule.ts";

/** One optimiser step's figures; `loss` and whatever the task measures are means over the batch's examples. */
export interface StepRow {
  /** Counts from 1. */
  step: number;
  epoch: number;
  loss: number;
  learningRate: number;
  /** Global norm before clipping. */
  gradientNorm: number;
  seconds: number;
  [metric: string]: number;
}

/** What a task computes of one micro-batch, inside the gradient: sums over its examples. */
export interface MicroBatchLoss {
  loss: tf.Scalar;
  metrics?: Record<string, tf.Tensor>;
}

/** What the loop must remember, beside parameters and optimiser, to go on exactly. */
export interface TrainState {
  /** Optimiser steps done. */
  step: number;
  best?: { step: number; value: number };
  evaluationsWithoutGain: number;
  /** The step of the last evaluation, so that one at the end is not repeated. */
  evaluatedAt: number;
  /** The step of the last observation; absent before the first. */
  observedAt?: number;
  /** Whatever the task keeps of its own; JSON. */
  task?: unknown;
}

/** Where a run is written; `openRun` of `@fdiv/trainer/node` gives one in a directory. */
export interface RunStore {
  /** Loads parameters and optimiser from the last whole checkpoint, in place. */
  resume(): Promise<TrainState | undefined>;
  checkpoint(state: TrainState, kind: "regular" | "best"): Promise<void>;
  /** Puts parameters back to the best checkpoint; false when there is none. */
  restoreBest(): Promise<boolean>;
  row(row: StepRow): void | Promise<void>;
  evaluation(step: number, metrics: Record<string, number>): void | Promise<void>;
  failure(error: unknown): void | Promise<void>;
}

export interface TrainCallbacks {
  onStart?(info: { step: number; steps: number; resumed: boolean }): void;
  onStep?(row: StepRow): void;
  onEvaluation?(step: number, metrics: Record<string, number>): void;
  onObservation?(step: number, metrics: Record<string, number>): void;
  onCheckpoint?(step: number, kind: "regular" | "best"): void;
  /** After `onStart`, however training ends; without a result when it failed. */
  onEnd?(result: TrainResult | undefined): void;
}

export interface TrainOptions<M> {
  /** The trainable parameters, changed in place. */
  parameters: ReadonlyMap<string, tf.Variable>;
  optimizer: Optimizer;
  batches: BatchSource<M>;
  /** Sums over a micro-batch's examples; runs inside the gradient. */
  loss(microBatch: M): MicroBatchLoss;
  /** How many examples a micro-batch holds: what the sums are divided by, over the whole batch. */
  examples(microBatch: M): number;
  /** Tokens computed, for the speed shown; without it the speed is of examples. */
  tokens?(microBatch: M): number;
  /** What to write down of a micro-batch whose loss is not finite. */
  describe?(microBatch: M): unknown;
  /** Optimiser steps of the whole run. */
  steps: number;
  learningRate: number;
  /** Factor of the learning rate a step; constant by default. */
  schedule?: Schedule;
  /** Largest global norm of the gradient; Infinity (the default) never clips. */
  gradientClip?: number;
  evaluate?(step: number): Promise<Record<string, number>>;
  /** Steps between evaluations; default an epoch. One more comes at the end. */
  evaluateEvery?: number;
  /** What is measured beside the evaluations and at a pace of its own, such as figures of samples; never decides what is best. */
  observe?(step: number): Promise<Record<string, number>>;
  /** Steps between observations; default an epoch. There is one before the first step, and one more at the end. */
  observeEvery?: number;
  /** What makes a checkpoint the best, of what `evaluate` returns; a figure that is not finite never does. */
  best?: { metric: string; mode: "max" | "min" };
  /** Stop after this many evaluations without a new best; a run that stopped so stays stopped when resumed. */
  patience?: number;
  /** Steps between checkpoints; default an epoch. One more comes at the end. */
  checkpointEvery?: number;
  /** Where checkpoints and metrics go; nowhere by default. */
  store?: RunStore;
  /** Continue from the store's last checkpoint. */
  resume?: boolean;
  /** After an abort the step at hand is finished, the state saved, and `stopped` says so. */
  signal?: AbortSignal;
  callbacks?: TrainCallbacks;
  /** State of the task's own that a checkpoint must hold. */
  taskState?: { save(): unknown; load(state: unknown): void };
}

export interface TrainResult {
  steps: number;
  stopped: "done" | "interrupted" | "no-gain";
  best?: { step: number; value: number };
  lastRow?: StepRow;
}

/**
 * Trains: batches in the source's order, gradients accumulated over micro-batches so that the split changes nothing,
 * clipping, the optimiser, evaluations, checkpoints.
 *
 * A resumed run continues bit for bit on the same backend, since batches are had by number and every other state is saved.
 *
 * @throws NonFiniteError before a non-finite loss or gradient changes any parameter
 */
export async function train<M>(options: TrainOptions<M>): Promise<TrainResult> {
  const { batches, store, steps, signal, callbacks = {} } = options;
  const evaluateEvery = options.evaluateEvery ?? batches.stepsPerEpoch;
  const observeEvery = options.observeEvery ?? batches.stepsPerEpoch;
  const checkpointEvery = options.checkpointEvery ?? batches.stepsPerEpoch;
  const resumed = options.resume ? await store?.resume() : undefined;
  const state: TrainState = resumed ?? { step: 0, evaluationsWithoutGain: 0, evaluatedAt: -1 };
  if (resumed?.task !== undefined) options.taskState?.load(resumed.task);
  callbacks.onStart?.({ step: state.step, steps, resumed: resumed !== undefined });

  let stopped: TrainResult["stopped"] = "done";
  let lastRow: StepRow | undefined;
  let result: TrainResult | undefined;
  let savedAt = resumed ? state.step : -1;
  const save = async (kind: "regular" | "best"): Promise<void> => {
    if (options.taskState) state.task = options.taskState.save();
    await store?.checkpoint({ ...state }, kind);
    if (kind === "regular") savedAt = state.step;
    callbacks.onCheckpoint?.(state.step, kind);
  };
  const evaluate = async (): Promise<void> => {
    if (!options.evaluate || state.evaluatedAt === state.step) return;
    const metrics = await options.evaluate(state.step);
    state.evaluatedAt = state.step;
    await store?.evaluation(state.step, metrics);
    callbacks.onEvaluation?.(state.step, metrics);
    if (noteBest(state, metrics, options.best)) await save("best");
  };

  const observe = async (): Promise<void> => {
    if (!options.observe || state.observedAt === state.step) return;
    const metrics = await options.observe(state.step);
    state.observedAt = state.step;
    await store?.evaluation(state.step, metrics);
    callbacks.onObservation?.(state.step, metrics);
  };

  try {
    if (state.step === 0) {
      await evaluate();
      await observe();
    }
    while (state.step < steps) {
      if (options.patience !== undefined && state.evaluationsWithoutGain >= options.patience) {
        stopped = "no-gain";
        break;
      }
      if (signal?.aborted) {
        stopped = "interrupted";
        break;
      }
      lastRow = await optimiserStep(options, state.step);
      state.step += 1;
      await store?.row(lastRow);
      callbacks.onStep?.(lastRow);
      // Before the checkpoint, which then knows of them: a run resumed from there repeats none.
      if (state.step % evaluateEvery === 0 || state.step === steps) await evaluate();
      if (state.step % observeEvery === 0 || state.step === steps) await observe();
      if (state.step % checkpointEvery === 0) await save("regular");
      // One turn of the event loop a step, so that a signal or a timer is heard.
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (stopped !== "interrupted") {
      await evaluate();
      await observe();
    }
    if (savedAt !== state.step) await save("regular");
    result = {
      steps: state.step,
      stopped,
      ...(state.best && { best: state.best }),
      ...(lastRow && { lastRow }),
    };
    return result;
  } catch (error) {
    try {
      await store?.failure(error);
    } catch {
      // What training failed of matters more than that it could not be written down.
    }
    throw error;
  } finally {
    callbacks.onEnd?.(result);
  }
}

/** Notes an evaluation's metric; true when it is the best so far. */
function noteBest(
  state: TrainState,
  metrics: Record<string, number>,
  best: TrainOptions<unknown>["best"],
): boolean {
  if (!best) return false;
  const value = metrics[best.metric];
  if (value === undefined)
    throw new Error(
      `train: evaluate returned no "${best.metric}"; it returned ${Object.keys(metrics).join(", ")}.`,
    );
  // JSON has no NaN: one that was saved is null by now.
  const known = Number.isFinite(state.best?.value) ? state.best?.value : undefined;
  const gained =
    Number.isFinite(value) && (known === undefined || (best.mode === "max" ? value > known : value < known));
  state.evaluationsWithoutGain = gained ? 0 : state.evaluationsWithoutGain + 1;
  if (gained) state.best = { step: state.step, value };
  return gained;
}
