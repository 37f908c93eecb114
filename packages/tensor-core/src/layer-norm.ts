import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";
import { reshape } from "./reshape.ts";
import { checkRank, checkShape } from "./shape-check.ts";

interface Attributes {
  epsilon: number;
}

/** FdivLayerNormGrad: dx [M, N], dweight [N] and dbias [N] from the saved mean and inverse deviation [M]. */
export const layerNormGradKernel = defineKernel<
  { dy: tf.Tensor; x: tf.Tensor; weight: tf.Tensor; mean: tf.Tensor; inverseStd: tf.Tensor },
  Attributes
>({
  name: "FdivLayerNormGrad",
  generic: ({ dy, x, weight, mean, inverseStd }) => {
    if (x.size === 0) return [tf.zeros(x.shape), tf.zeros(weight.shape), tf.zeros(weight.shape)];
    const r = tf.reshape(inverseStd, [-1, 1]);
    const normal = tf.mul(tf.sub(x, tf.reshape(mean, [-1, 1])), r);
    const scaled = tf.mul(dy, weight);
    const projection = tf.mul(normal, tf.mean(tf.mul(scaled, normal), 1, true));
    const dx = tf.mul(tf.sub(tf.sub(scaled, tf.mean(scaled, 1, true)), projection), r);
    return [dx, tf.sum(tf.mul(dy, normal), 0), tf.sum(dy, 0)];
  },
});

/** FdivLayerNorm: y = (x − mean)·r·weight + bias, the mean and r = 1/√(variance + ε) of each row of x [M, N]. */
export const layerNormKernel = defineKernel<{ x: tf.Tensor; weight: tf.Tensor; bias: tf.Tensor }, Attributes>(
  {
    name: "FdivLayerNorm",
    generic: ({ x, weight, bias }, { epsilon }) => {
      const mean = tf.mean(x, 1, true);
      const centred = tf.sub(x, mean);
      const r = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), epsilon));
      const y = tf.add(tf.mul(tf.mul(centred, r), weight), bias);
      return [y, tf.reshape(mean, [-1]), tf.reshape(r, [-1])];
    },
    gradient: {
      inputs: ["x", "weight"],
      outputs: [false, true, true],
      run: ([dy], [x, weight, mean, inverseStd], attributes) => {
        const [dx, dweight, dbias] = layerNormGradKernel(
          { dy: dy!, x: x!, weight: weight!, mean: mean!, inverseStd: inverseStd! },
          attributes,
        );
        return { x: () => dx!, weight: () => dweight!, bias: () => dbias! };
      },
    },
  },
);

/**
 * Layer normalisation y = (x − mean) / √(variance + ε) · weight + bias over the last axis, with the biased variance
 * (Ba, Kiros & Hinton 2016, https://arxiv.org/abs/1607.06450).
 *
 * @param x [..., N]
 * @param weight [N]
 * @param bias [N]
 * @throws when weight or bias does not fit x
 */
export function layerNorm(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor, epsilon: number): tf.Tensor {
  checkRank("layerNorm", "x", x, 1, 6);
  const size = x.shape[x.rank - 1]!;
  const reason = `the last axis of x [${x.shape.join(", ")}]`;
  checkShape("layerNorm", "weight", weight, [size], reason);
  checkShape("layerNorm", "bias", bias, [size], reason);
  return tf.tidy(() => {
    const rows = reshape(x, [x.size / Math.max(size, 1), size]);
    return reshape(layerNormKernel({ x: rows, weight, bias }, { epsilon })[0]!, x.shape);
  });
}
