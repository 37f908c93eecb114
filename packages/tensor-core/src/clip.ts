import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";

/** FdivSquaredNorm: Σx² of a tensor of any shape, a scalar. */
export const squaredNormKernel = defineKernel<{ x: tf.Tensor }, object>({
  name: "FdivSquaredNorm",
  // The stock wasm sum of nothing is whatever its memory held.
  generic: ({ x }) => (x.size === 0 ? tf.scalar(0) : tf.sum(tf.square(x))),
});

/**
 * The factor that brings the gradients' global norm ‖g‖ = √Σ‖gᵢ‖² down to `max`, and the norm before
 * (Pascanu, Mikolov & Bengio 2013, https://arxiv.org/abs/1211.5063). The gradients stay as they are: hand the factor to the
 * optimiser as `gradientScale`.
 *
 * @returns norm, NaN or infinite when a gradient is; scale, min(1, max/norm), 0 when the norm is not finite
 */
export function clipByGlobalNorm(
  gradients: ReadonlyMap<string, tf.Tensor>,
  max: number,
): { norm: number; scale: number } {
  if (!(max > 0)) throw new Error(`clipByGlobalNorm: max is ${max}, expected a positive norm.`);
  if (gradients.size === 0) return { norm: 0, scale: 1 };
  const squares = tf.tidy(() =>
    tf.stack([...gradients.values()].map((gradient) => squaredNormKernel({ x: gradient }, {})[0]!)),
  );
  let total = 0;
  for (const square of squares.dataSync()) total += square;
  squares.dispose();
  const norm = Math.sqrt(total);
  if (!Number.isFinite(norm)) return { norm, scale: 0 };
  return { norm, scale: norm > max ? max / norm : 1 };
}
