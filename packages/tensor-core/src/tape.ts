import * as tf from "@tensorflow/tfjs-core";

/** One recorded operation, as TensorFlow.js keeps it. */
export interface TapeNode {
  inputs: Record<string, tf.Tensor>;
  outputs: tf.Tensor[];
  saved?: tf.Tensor[];
  gradient?: (dys: (tf.Tensor | null)[]) => Record<string, () => tf.Tensor>;
  kernelName: string;
}

/** What TensorFlow.js' own `gradients` uses of the engine; missing from the public types only. */
interface TapeEngine {
  startTape?: () => void;
  endTape?: () => void;
  state: { gradientDepth: number; activeTape: TapeNode[] | null };
}

const tapeEngine = (): TapeEngine => tf.engine() as unknown as TapeEngine;

/** Whether a tape of our own can be recorded: not inside another gradient, which may differentiate through this one. */
export function canRecord(): boolean {
  const engine = tapeEngine();
  return Boolean(engine.startTape && engine.endTape) && engine.state?.gradientDepth === 0;
}

/** Runs f, whose tensors are freed but for its result and what the operations saved, and returns what was recorded. */
export function record<T extends tf.Tensor>(f: () => T): { value: T; tape: TapeNode[] } {
  const engine = tapeEngine();
  engine.startTape!();
  let value: T | undefined;
  try {
    value = tf.tidy(f);
    return { value, tape: engine.state.activeTape ?? [] };
  } finally {
    engine.endTape!();
    if (!value) for (const node of engine.state.activeTape ?? []) tf.dispose(node.saved ?? []);
    engine.state.activeTape = null;
  }
}
