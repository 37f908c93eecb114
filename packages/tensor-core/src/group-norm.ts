import * as tf from "@tensorflow/tfjs-core";
import { type Activation, activationGradKernel, stockActivation } from "./activation.ts";
import { defineKernel } from "./kernel.ts";
import { checkRank, checkShape } from "./shape-check.ts";

interface Attributes {
  groups: number;
  epsilon: number;
  activation: Activation;
}

/** x [B, ..., C] with its channels by group, [B, S, G, C/G]. */
function byGroup(x: tf.Tensor, groups: number): tf.Tensor {
  const channels = x.shape[x.rank - 1]!;
  return tf.reshape(x, [x.shape[0]!, x.size / (x.shape[0]! * channels), groups, channels / groups]);
}

/** A number a group, [B, G], shaped to meet byGroup's. */
const spread = (x: tf.Tensor): tf.Tensor => tf.reshape(x, [x.shape[0]!, 1, x.shape[1]!, 1]);

/** A number a channel, [C], or a channel of an example, [B, C], shaped to meet x's. */
const spreadChannels = (affine: tf.Tensor, x: tf.Tensor): tf.Tensor =>
  affine.rank === 1
    ? affine
    : tf.reshape(affine, [x.shape[0]!, ...x.shape.slice(1, -1).map(() => 1), affine.shape[1]!]);

/** x's deviations from the mean, over the standard one. */
const normalOf = (x: tf.Tensor, mean: tf.Tensor, inverseStd: tf.Tensor, groups: number): tf.Tensor =>
  tf.reshape(tf.mul(tf.sub(byGroup(x, groups), spread(mean)), spread(inverseStd)), x.shape);

/** FdivGroupNormGrad: dx [B, ..., C], and dweight and dbias in weight's shape, from the saved mean and inverse deviation [B, G]. */
export const groupNormGradKernel = defineKernel<
  {
    dy: tf.Tensor;
    x: tf.Tensor;
    weight: tf.Tensor;
    bias: tf.Tensor;
    mean: tf.Tensor;
    inverseStd: tf.Tensor;
  },
  Omit<Attributes, "epsilon">
>({
  name: "FdivGroupNormGrad",
  generic: ({ dy: given, x, weight, bias, mean, inverseStd }, { groups, activation }) => {
    const [factor, shift] = [spreadChannels(weight, x), spreadChannels(bias, x)];
    const normal = normalOf(x, mean, inverseStd, groups);
    const before = tf.add(tf.mul(normal, factor), shift);
    const dy =
      activation === "none" ? given : activationGradKernel({ dy: given, x: before }, { activation })[0]!;
    const scaled = byGroup(tf.mul(dy, factor), groups);
    const grouped = byGroup(normal, groups);
    const average = (values: tf.Tensor) => tf.mean(values, [1, 3], true);
    const projection = tf.mul(grouped, average(tf.mul(scaled, grouped)));
    const dx = tf.mul(tf.sub(tf.sub(scaled, average(scaled)), projection), spread(inverseStd));
    const pixels = (values: tf.Tensor) =>
      tf.sum(tf.reshape(values, [x.shape[0]!, -1, x.shape[x.rank - 1]!]), weight.rank === 1 ? [0, 1] : 1);
    return [tf.reshape(dx, x.shape), pixels(tf.mul(dy, normal)), pixels(dy)];
  },
});

/**
 * FdivGroupNorm: y = f((x − mean)·r·weight + bias), the mean and r = 1/√(variance + ε) of each example's groups of channels; weight and
 * bias [C], or [B, C] for numbers of each example's own.
 */
export const groupNormKernel = defineKernel<{ x: tf.Tensor; weight: tf.Tensor; bias: tf.Tensor }, Attributes>(
  {
    name: "FdivGroupNorm",
    generic: ({ x, weight, bias }, { groups, epsilon, activation }) => {
      const grouped = byGroup(x, groups);
      const shape = [x.shape[0]!, groups];
      const mean = tf.reshape(tf.mean(grouped, [1, 3]), shape);
      const variance = tf.mean(tf.square(tf.sub(grouped, spread(mean))), [1, 3]);
      const r = tf.reshape(tf.rsqrt(tf.add(variance, epsilon)), shape);
      const normal = normalOf(x, mean, r, groups);
      const y = tf.add(tf.mul(normal, spreadChannels(weight, x)), spreadChannels(bias, x));
      return [stockActivation(y, activation), mean, r];
    },
    gradient: {
      inputs: ["x", "weight", "bias"],
      outputs: [false, true, true],
      run: ([dy], [x, weight, bias, mean, inverseStd], { groups, activation }) => {
        const [dx, dweight, dbias] = groupNormGradKernel(
          { dy: dy!, x: x!, weight: weight!, bias: bias!, mean: mean!, inverseStd: inverseStd! },
          { groups, activation },
        );
        return { x: () => dx!, weight: () => dweight!, bias: () => dbias! };
      },
    },
  },
);

export interface GroupNormOptions {
  groups: number;
  /** Default 1e-5. */
  epsilon?: number;
  /** What is applied to the result, in the same pass; default none. */
  activation?: Activation;
}

/**
 * Group normalisation over all pixels and the channels of each of `groups` groups, with the biased variance (Wu & He 2018,
 * https://arxiv.org/abs/1803.08494), and an activation of the result. With numbers of each example's own, weight·(1 + scale) and
 * bias·(1 + scale) + shift, it is the norm that a diffusion model's embedding scales and shifts.
 *
 * @param x [batch, ..., channels]
 * @param weight [channels], or [batch, channels] for each example's own
 * @param bias in weight's shape
 * @throws when the channels do not split into the groups, or weight or bias do not fit
 */
export function groupNorm(
  x: tf.Tensor,
  weight: tf.Tensor,
  bias: tf.Tensor,
  { groups, epsilon = 1e-5, activation = "none" }: GroupNormOptions,
): tf.Tensor {
  checkRank("groupNorm", "x", x, 2, 6);
  const channels = x.shape[x.rank - 1]!;
  if (!Number.isSafeInteger(groups) || groups < 1 || channels % groups !== 0)
    throw new Error(`groupNorm: ${channels} channels do not split into ${groups} groups.`);
  const shape = weight.rank === 2 ? [x.shape[0]!, channels] : [channels];
  checkShape("groupNorm", "weight", weight, shape, `x [${x.shape.join(", ")}]`);
  checkShape("groupNorm", "bias", bias, shape, "weight's shape");
  return groupNormKernel({ x, weight, bias }, { groups, epsilon, activation })[0]!;
}
