import type * as tf from "@tensorflow/tfjs-core";

/** A solved problem; P = exp((f ⊕ g − D)/λ). */
export interface Solution {
  /** [problems, n] and [problems, m]; −∞ for points without mass */
  f: tf.Tensor2D;
  g: tf.Tensor2D;
  /** int32 [problems], those of annealing not counted */
  steps: tf.Tensor1D;
  /** [problems, n, m] */
  plan: tf.Tensor3D;
  /** Its sums, [problems, n] and [problems, m]. */
  rows: tf.Tensor2D;
  columns: tf.Tensor2D;
  /** ⟨P, D⟩, [problems] */
  transported: tf.Tensor1D;
}

/** From what the kernel gives out. */
export function solutionOf(outputs: tf.Tensor[]): Solution {
  const [f, g, steps, plan, rows, columns, transported] = outputs;
  return { f, g, steps, plan, rows, columns, transported } as Solution;
}
