import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";
import { checkRank, checkShape } from "./shape-check.ts";

interface Attributes {
  groups: number;
  epsilon: number;
}

/** x [B, S, C] with its channels by group, [B, S, G, C/G]. */
const byGroup = (x: tf.Tensor, groups: number): tf.Tensor =>
  tf.reshape(x, [x.shape[0]!, x.shape[1]!, groups, x.shape[2]! / groups]);

/** A number a group, [B, G], shaped to meet byGroup's. */
const spread = (x: tf.Tensor): tf.Tensor => tf.reshape(x, [x.shape[0]!, 1, x.shape[1]!, 1]);

/** FdivGroupNormGrad: dx [B, S, C], dweight [C] and dbias [C] from the saved mean and inverse deviation [B, G]. */
export const groupNormGradKernel = defineKernel<
  { dy: tf.Tensor; x: tf.Tensor; weight: tf.Tensor; mean: tf.Tensor; inverseStd: tf.Tensor },
  Attributes
>({
  name: "FdivGroupNormGrad",
  generic: ({ dy, x, weight, mean, inverseStd }, { groups }) => {
    const r = spread(inverseStd);
    const normal = tf.mul(tf.sub(byGroup(x, groups), spread(mean)), r);
    const scaled = byGroup(tf.mul(dy, weight), groups);
    const average = (values: tf.Tensor) => tf.mean(values, [1, 3], true);
    const projection = tf.mul(normal, average(tf.mul(scaled, normal)));
    const dx = tf.mul(tf.sub(tf.sub(scaled, average(scaled)), projection), r);
    const channels = weight.shape[0]!;
    const rows = (values: tf.Tensor) => tf.sum(tf.reshape(values, [-1, channels]), 0);
    return [tf.reshape(dx, x.shape), rows(tf.mul(dy, tf.reshape(normal, x.shape))), rows(dy)];
  },
});

/** FdivGroupNorm: y = (x − mean)·r·weight + bias, the mean and r = 1/√(variance + ε) of each example's groups of channels. */
export const groupNormKernel = defineKernel<{ x: tf.Tensor; weight: tf.Tensor; bias: tf.Tensor }, Attributes>(
  {
    name: "FdivGroupNorm",
    generic: ({ x, weight, bias }, { groups, epsilon }) => {
      const grouped = byGroup(x, groups);
      const mean = tf.mean(grouped, [1, 3], true);
      const centred = tf.sub(grouped, mean);
      const r = tf.rsqrt(tf.add(tf.mean(tf.square(centred), [1, 3], true), epsilon));
      const y = tf.add(tf.mul(tf.reshape(tf.mul(centred, r), x.shape), weight), bias);
      const shape = [x.shape[0]!, groups];
      return [y, tf.reshape(mean, shape), tf.reshape(r, shape)];
    },
    gradient: {
      inputs: ["x", "weight"],
      outputs: [false, true, true],
      run: ([dy], [x, weight, mean, inverseStd], attributes) => {
        const [dx, dweight, dbias] = groupNormGradKernel(
          { dy: dy!, x: x!, weight: weight!, mean: mean!, inverseStd: inverseStd! },
          attributes,
        );
        return { x: () => dx!, weight: () => dweight!, bias: () => dbias! };
      },
    },
  },
);

/**
 * Group normalisation over all pixels and the channels of each of `groups` groups, with the biased variance (Wu & He 2018,
 * https://arxiv.org/abs/1803.08494).
 *
 * @param x [batch, ..., channels]
 * @param weight [channels]
 * @param bias [channels]
 * @throws when the channels do not split into the groups, or weight or bias do not fit
 */
export function groupNorm(
  x: tf.Tensor,
  weight: tf.Tensor,
  bias: tf.Tensor,
  { groups, epsilon = 1e-5 }: { groups: number; epsilon?: number },
): tf.Tensor {
  checkRank("groupNorm", "x", x, 2, 6);
  const channels = x.shape[x.rank - 1]!;
  if (!Number.isSafeInteger(groups) || groups < 1 || channels % groups !== 0)
    throw new Error(`groupNorm: ${channels} channels do not split into ${groups} groups.`);
  const reason = `the channels of x [${x.shape.join(", ")}]`;
  checkShape("groupNorm", "weight", weight, [channels], reason);
  checkShape("groupNorm", "bias", bias, [channels], reason);
  const flat = tf.reshape(x, [x.shape[0]!, -1, channels]);
  return tf.reshape(groupNormKernel({ x: flat, weight, bias }, { groups, epsilon })[0]!, x.shape);
}
