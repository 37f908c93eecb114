import * as tf from "@tensorflow/tfjs-core";
import { defineKernel, implementKernel } from "./kernel.ts";
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

/** What is used of TensorFlow.js' wasm backend. */
interface HeapBackend extends tf.KernelBackend {
  makeOutput(shape: number[], dtype: "float32"): tf.TensorInfo;
  typedArrayFromHeap(info: tf.TensorInfo): Float32Array;
}

/** Σ a and Σ a·b over an example's pixels, a number a channel. */
function channelSums(
  sums: Float64Array,
  products: Float64Array,
  from: number,
  pixels: number,
  a: Float32Array,
  b: Float32Array,
): void {
  const channels = sums.length;
  sums.fill(0);
  products.fill(0);
  let at = from;
  for (let pixel = 0; pixel < pixels; pixel++)
    for (let c = 0; c < channels; c++, at++) {
      const value = a[at]!;
      sums[c] = sums[c]! + value;
      products[c] = products[c]! + value * b[at]!;
    }
}

// The stock sums over two axes of four transpose first; on the backend's memory two passes do.
implementKernel("FdivGroupNorm", "wasm", (inputs, attributes, backend) => {
  const wasm = backend as HeapBackend;
  const { groups, epsilon } = attributes as Attributes;
  const [batch, pixels, channels] = inputs.x!.shape as [number, number, number];
  const outputs = [inputs.x!.shape, [batch, groups], [batch, groups]].map((shape) =>
    wasm.makeOutput(shape, "float32"),
  );
  const [y, means, inverses] = outputs.map((info) => wasm.typedArrayFromHeap(info)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const [x, weight, bias] = [inputs.x!, inputs.weight!, inputs.bias!].map((info) =>
    wasm.typedArrayFromHeap(info),
  ) as [Float32Array, Float32Array, Float32Array];
  const [sums, squares, scale, shift] = [0, 0, 0, 0].map(() => new Float64Array(channels)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const wide = channels / groups;
  for (let b = 0; b < batch; b++) {
    const from = b * pixels * channels;
    channelSums(sums, squares, from, pixels, x, x);
    for (let g = 0; g < groups; g++) {
      let [sum, square] = [0, 0];
      for (let c = g * wide; c < (g + 1) * wide; c++) {
        sum += sums[c]!;
        square += squares[c]!;
      }
      const mean = sum / (pixels * wide);
      const r = 1 / Math.sqrt(Math.max(0, square / (pixels * wide) - mean * mean) + epsilon);
      means[b * groups + g] = mean;
      inverses[b * groups + g] = r;
      for (let c = g * wide; c < (g + 1) * wide; c++) {
        scale[c] = r * weight[c]!;
        shift[c] = bias[c]! - mean * scale[c]!;
      }
    }
    let at = from;
    for (let pixel = 0; pixel < pixels; pixel++)
      for (let c = 0; c < channels; c++, at++) y[at] = x[at]! * scale[c]! + shift[c]!;
  }
  return outputs;
});

implementKernel("FdivGroupNormGrad", "wasm", (inputs, attributes, backend) => {
  const wasm = backend as HeapBackend;
  const { groups } = attributes as Attributes;
  const [batch, pixels, channels] = inputs.x!.shape as [number, number, number];
  const outputs = [inputs.x!.shape, [channels], [channels]].map((shape) => wasm.makeOutput(shape, "float32"));
  const [dx, dweight, dbias] = outputs.map((info) => wasm.typedArrayFromHeap(info)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const read = (name: string) => wasm.typedArrayFromHeap(inputs[name]!);
  const [dy, x, weight, means, inverses] = [
    read("dy"),
    read("x"),
    read("weight"),
    read("mean"),
    read("inverseStd"),
  ];
  const [sums, products, ofDy, ofX, constant, weightSum, biasSum] = [0, 0, 0, 0, 0, 0, 0].map(
    () => new Float64Array(channels),
  ) as [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array, Float64Array, Float64Array];
  const wide = channels / groups;
  for (let b = 0; b < batch; b++) {
    const from = b * pixels * channels;
    channelSums(sums, products, from, pixels, dy, x);
    for (let g = 0; g < groups; g++) {
      const [mean, r] = [means[b * groups + g]!, inverses[b * groups + g]!];
      // The group's means of weight·dy and of weight·dy·(x − mean)·r.
      let [level, slope] = [0, 0];
      for (let c = g * wide; c < (g + 1) * wide; c++) {
        const normal = r * (products[c]! - mean * sums[c]!);
        biasSum[c] = biasSum[c]! + sums[c]!;
        weightSum[c] = weightSum[c]! + normal;
        level += weight[c]! * sums[c]!;
        slope += weight[c]! * normal;
      }
      level /= pixels * wide;
      slope /= pixels * wide;
      for (let c = g * wide; c < (g + 1) * wide; c++) {
        ofDy[c] = r * weight[c]!;
        ofX[c] = -r * r * slope;
        constant[c] = r * r * mean * slope - r * level;
      }
    }
    let at = from;
    for (let pixel = 0; pixel < pixels; pixel++)
      for (let c = 0; c < channels; c++, at++) dx[at] = dy[at]! * ofDy[c]! + x[at]! * ofX[c]! + constant[c]!;
  }
  dweight.set(weightSum);
  dbias.set(biasSum);
  return outputs;
});
