import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";

/** FdivSquaredNorm: Σx² of a tensor of any shape, a scalar. */
export const squaredNormKernel = defineKernel<{ x: tf.Tensor }, object>({
  name: "FdivSquaredNorm",
  // The stock wasm sum of nothing is whatever its memory held.
  generic: ({ x }) => (x.size === 0 ? tf.scalar(0) : tf.sum(tf.square(x))),
});

/** FdivSquaredNorms: those of any number of tensors, in the order of their names x0, x1, …; [count]. */
export const squaredNormsKernel = defineKernel<Record<string, tf.Tensor>, object>({
  name: "FdivSquaredNorms",
  generic: (inputs) =>
    tf.stack(Object.keys(inputs).map((_, i) => squaredNormKernel({ x: inputs[`x${i}`]! }, {})[0]!)),
});

export interface Clipping {
  /** √Σ‖gᵢ‖² before clipping; NaN or infinite when a gradient is. */
  norm: number;
  /** min(1, max/norm), or 0 when the norm is not finite. */
  scale: number;
}

/** Each gradient's squared norm, in one tensor so that there is one read. */
function squaredNorms(gradients: ReadonlyMap<string, tf.Tensor>, max: number): tf.Tensor {
  if (!(max > 0)) throw new Error(`clipByGlobalNorm: max is ${max}, expected a positive norm.`);
  if (gradients.size === 0) return tf.zeros([1]);
  const named = [...gradients.values()].map((gradient, i) => [`x${i}`, gradient] as const);
  return squaredNormsKernel(Object.fromEntries(named), {})[0]!;
}

function clipping(squares: Iterable<number>, max: number): Clipping {
  let total = 0;
  for (const square of squares) total += square;
  const norm = Math.sqrt(total);
  if (!Number.isFinite(norm)) return { norm, scale: 0 };
  return { norm, scale: norm > max ? max / norm : 1 };
}

/**
 * The factor that brings the gradients' global norm ‖g‖ = √Σ‖gᵢ‖² down to `max`, and the norm before
 * (Pascanu, Mikolov & Bengio 2013, https://arxiv.org/abs/1211.5063). The gradients stay as they are: hand the factor to the
 * optimiser as `gradientScale`.
 *
 * @throws when max is not positive
 */
export function clipByGlobalNorm(gradients: ReadonlyMap<string, tf.Tensor>, max: number): Clipping {
  const squares = squaredNorms(gradients, max);
  const result = clipping(squares.dataSync(), max);
  squares.dispose();
  return result;
}

/** The same on backends that cannot read synchronously, as webgpu. */
export async function clipByGlobalNormAsync(
  gradients: ReadonlyMap<string, tf.Tensor>,
  max: number,
): Promise<Clipping> {
  const squares = squaredNorms(gradients, max);
  const result = clipping(await squares.data(), max);
  squares.dispose();
  return result;
}
