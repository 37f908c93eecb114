import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";
import { reshape } from "./reshape.ts";
import { checkRank, checkShape } from "./shape-check.ts";

interface Attributes {
  epsilon: number;
}

/** FdivRmsNormGrad: dx [M, N] and dweight [N] from the saved inverse root mean square [M]. */
export const rmsNormGradKernel = defineKernel<
  { dy: tf.Tensor; x: tf.Tensor; weight: tf.Tensor; inverseRms: tf.Tensor },
  Attributes
>({
  name: "FdivRmsNormGrad",
  generic: ({ dy, x, weight, inverseRms }) => {
    if (x.size === 0) return [tf.zeros(x.shape), tf.zeros(weight.shape)];
    const r = tf.reshape(inverseRms, [-1, 1]);
    const normal = tf.mul(x, r);
    const scaled = tf.mul(dy, weight);
    const projection = tf.mean(tf.mul(scaled, normal), 1, true);
    const dx = tf.mul(tf.sub(scaled, tf.mul(normal, projection)), r);
    return [dx, tf.sum(tf.mul(dy, normal), 0)];
  },
});

/** FdivRmsNorm: y = x·r·weight and r = 1/√(mean x² + ε) of each row of x [M, N]. */
export const rmsNormKernel = defineKernel<{ x: tf.Tensor; weight: tf.Tensor }, Attributes>({
  name: "FdivRmsNorm",
  generic: ({ x, weight }, { epsilon }) => {
    const r = tf.rsqrt(tf.add(tf.mean(tf.square(x), 1, true), epsilon));
    return [tf.mul(tf.mul(x, r), weight), tf.reshape(r, [-1])];
  },
  gradient: {
    inputs: ["x", "weight"],
    outputs: [false, true],
    run: ([dy], [x, weight, inverseRms], attributes) => {
      const [dx, dweight] = rmsNormGradKernel(
        { dy: dy!, x: x!, weight: weight!, inverseRms: inverseRms! },
        attributes,
      );
      return { x: () => dx!, weight: () => dweight! };
    },
  },
});

/**
 * Root-mean-square normalisation y = x / √(mean x² + ε) · weight over the last axis
 * (Zhang & Sennrich 2019, https://arxiv.org/abs/1910.07467).
 *
 * @param x [..., N]
 * @param weight [N]
 * @throws when weight does not fit x
 */
export function rmsNorm(x: tf.Tensor, weight: tf.Tensor, epsilon: number): tf.Tensor {
  checkRank("rmsNorm", "x", x, 1, 6);
  const size = x.shape[x.rank - 1]!;
  checkShape("rmsNorm", "weight", weight, [size], `the last axis of x [${x.shape.join(", ")}]`);
  return tf.tidy(() => {
    const rows = reshape(x, [x.size / Math.max(size, 1), size]);
    return reshape(rmsNormKernel({ x: rows, weight }, { epsilon })[0]!, x.shape);
  });
}
