import * as tf from "@tensorflow/tfjs-core";
import { type DecoderAttributes, decoderSlots } from "../decoder-step.ts";
import { isHalfWeight } from "../half-weights.ts";
import type { Window } from "../image-columns.ts";
import { nothing, type Operations } from "./backend.ts";
import { transportImplementations } from "./transport.ts";

/** One kernel by way of TensorFlow operations. */
export type Implementation = (
  operations: Operations,
  inputs: Record<string, tf.TensorInfo>,
  // biome-ignore lint/suspicious/noExplicitAny: attributes are checked by each kernel's own type.
  attributes: Record<string, any>,
) => tf.TensorInfo[];

/** The numbers by which the operations know the activations. */
const activationKind = { none: 0, gelu: 1, geluTanh: 2, silu: 3, relu: 4 } as const;
const kindOf = (activation: keyof typeof activationKind) => ({ kind: { int: activationKind[activation] } });

const linear: Implementation = (ops, { x, weight, bias }, attributes) => {
  const { transposeWeight, activation, keepPreactivation } = attributes;
  const keeps = keepPreactivation && activation !== "none";
  const name = `Fdiv${isHalfWeight(weight!) ? "Half" : ""}Product${keeps ? "Kept" : ""}`;
  return ops.run(name, [x!, weight!, bias ?? nothing()], keeps ? 2 : 1, {
    transpose_a: { bool: false },
    transpose_b: { bool: transposeWeight },
    ...kindOf(activation),
  });
};

/** [from, count] of each run of at most `chunk` rows. */
function* chunks(rows: number, chunk: number): Generator<[number, number]> {
  for (let from = 0; from < rows; from += chunk) yield [from, Math.min(chunk, rows - from)];
}

const rowsOf = (x: tf.TensorInfo, from: number, count: number): tf.TensorInfo =>
  from === 0 && count === x.shape[0]
    ? x
    : tf.slice(x as tf.Tensor, [from, ...x.shape.slice(1).map(() => 0)], [count, ...x.shape.slice(1)]);

const joined = (parts: tf.Tensor[]): tf.Tensor => (parts.length === 1 ? parts[0]! : tf.concat(parts, 0));

const selectedLogProbs: Implementation = (ops, { hidden, headWeight, targets }, { chunk }) => {
  const parts = [...chunks(hidden!.shape[0]!, chunk)].map(([from, count]) =>
    tf.tidy(() => {
      const logits = ops.product(rowsOf(hidden!, from, count), headWeight!, false, true);
      return ops.run("FdivPickLogProb", [logits, rowsOf(targets!, from, count)], 2, { sign: { float: 1 } });
    }),
  );
  return [joined(parts.map((part) => part[0]!)), joined(parts.map((part) => part[1]!))];
};

const selectedLogProbsGrad: Implementation = (ops, inputs, { chunk, weightGradient }) => {
  const { dlogp, hidden, headWeight, targets, logSumExp } = inputs;
  const dhidden: tf.Tensor[] = [];
  let dweight: tf.Tensor | undefined;
  for (const [from, count] of chunks(hidden!.shape[0]!, chunk)) {
    const [dh, dw] = tf.tidy(() => {
      const states = rowsOf(hidden!, from, count);
      const logits = ops.product(states, headWeight!, false, true);
      const [d, t, shift] = [dlogp!, targets!, logSumExp!].map((x) => rowsOf(x, from, count));
      ops.run("FdivPickLogProbGradInPlace", [d!, logits, t!, shift!], 0, { sign: { float: 1 } });
      const back = ops.product(logits, headWeight!, false, false);
      if (!weightGradient) return [back];
      const part = ops.product(logits, states, true, false);
      return [back, dweight ? tf.add(dweight, part) : part];
    }) as tf.Tensor[];
    dhidden.push(dh!);
    if (dw) {
      dweight?.dispose();
      dweight = dw;
    }
  }
  return weightGradient ? [joined(dhidden), dweight!] : [joined(dhidden)];
};

const decoderStep: Implementation = (ops, inputs, attributes) => {
  const { layers, heads, kvHeads, epsilon, activation, transposeWeight, scales, windows } =
    attributes as DecoderAttributes;
  const empty = nothing();
  const settings = tf.tensor2d(scales.map((scale, i) => [scale, windows[i]!]));
  const model = ["embedding", "positionEmbedding", "cos", "sin", "norm.weight", "norm.bias", "head"];
  const tensors = [...model.map((name) => inputs[name] ?? empty), settings];
  for (let i = 0; i < layers; i++)
    for (const slot of decoderSlots) tensors.push(inputs[`${i}.${slot}`] ?? empty);
  // Two lists of the same places: each weight is in the one of its type.
  const floats = tensors.map((tensor) => (isHalfWeight(tensor) ? empty : tensor));
  const none = tensors.some(isHalfWeight) ? tf.tensor1d([], "int32") : undefined;
  const halves = none ? tensors.map((tensor) => (isHalfWeight(tensor) ? tensor : none)) : [];
  const tokens = [inputs.ids!, inputs.positions!, inputs.layout!];
  return ops.run("FdivDecoderStep", [...tokens, ...floats, ...halves], 1, {
    N: { int: tensors.length },
    H: { int: halves.length },
    layers: { int: layers },
    heads: { int: heads },
    kv_heads: { int: kvHeads },
    epsilon: { float: epsilon },
    activation: { int: activationKind[activation] },
    transposed: { bool: transposeWeight },
  });
};

const attentionAttributes = ({ heads, kvHeads, scale, window }: Record<string, number>) => ({
  heads: { int: heads! },
  kv_heads: { int: kvHeads! },
  scale: { float: scale! },
  window: { int: window! },
});

const epsilonOf = ({ epsilon }: Record<string, number>) => ({ epsilon: { float: epsilon! } });

const windowAttributes = ({ stride, padding: [top, bottom, left, right] }: Window) => ({
  stride: { int: stride },
  top: { int: top },
  bottom: { int: bottom },
  left: { int: left },
  right: { int: right },
});

/** Kernels whose computation is one operation of the same name, by the order of its inputs and the number of its outputs. */
const direct: Record<
  string,
  {
    inputs: string[];
    outputs: number;
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    attributes?: (attributes: any) => Parameters<Operations["run"]>[3];
  }
> = {
  FdivRmsNorm: { inputs: ["x", "weight"], outputs: 2, attributes: epsilonOf },
  FdivRmsNormGrad: { inputs: ["dy", "x", "weight", "inverseRms"], outputs: 2 },
  FdivLayerNorm: { inputs: ["x", "weight", "bias"], outputs: 3, attributes: epsilonOf },
  FdivLayerNormGrad: { inputs: ["dy", "x", "weight", "mean", "inverseStd"], outputs: 3 },
  FdivGroupNorm: {
    inputs: ["x", "weight", "bias"],
    outputs: 3,
    attributes: ({ groups, epsilon, activation }) => ({
      groups: { int: groups },
      epsilon: { float: epsilon },
      ...kindOf(activation),
    }),
  },
  FdivGroupNormGrad: {
    inputs: ["dy", "x", "weight", "bias", "mean", "inverseStd"],
    outputs: 3,
    attributes: ({ groups, activation }) => ({ groups: { int: groups }, ...kindOf(activation) }),
  },
  FdivPanels: {
    inputs: ["weight"],
    outputs: 1,
    attributes: ({ transposed }) => ({ transposed: { bool: transposed } }),
  },
  FdivSumRows: { inputs: ["x"], outputs: 1 },
  FdivSoftmax: { inputs: ["x"], outputs: 1 },
  FdivSoftmaxGrad: { inputs: ["dy", "y"], outputs: 1 },
  FdivLogSoftmax: { inputs: ["x"], outputs: 1 },
  FdivLogSoftmaxGrad: { inputs: ["dy", "y"], outputs: 1 },
  FdivActivation: { inputs: ["x"], outputs: 1, attributes: ({ activation }) => kindOf(activation) },
  FdivActivationGrad: { inputs: ["dy", "x"], outputs: 1, attributes: ({ activation }) => kindOf(activation) },
  FdivSwiglu: { inputs: ["gate", "up"], outputs: 1 },
  FdivSwigluGrad: { inputs: ["dy", "gate", "up"], outputs: 2 },
  FdivDrawTokens: {
    inputs: ["logits", "uniforms"],
    outputs: 1,
    attributes: ({ temperature }) => ({ temperature: { float: temperature } }),
  },
  FdivCacheWrite: { inputs: ["cache", "rows", "layout"], outputs: 0 },
  FdivRotary: {
    inputs: ["x", "cos", "sin", "positions"],
    outputs: 1,
    attributes: ({ heads, interleaved, inverse }) => ({
      heads: { int: heads },
      interleaved: { bool: interleaved },
      inverse: { bool: inverse },
    }),
  },
  FdivScatterAdd: {
    inputs: ["rows", "ids"],
    outputs: 1,
    attributes: ({ size }) => ({ size: { int: size } }),
  },
  FdivAttention: { inputs: ["q", "k", "v", "layout"], outputs: 2, attributes: attentionAttributes },
  FdivAttentionGrad: {
    inputs: ["dy", "q", "k", "v", "out", "logSumExp", "layout"],
    outputs: 3,
    attributes: attentionAttributes,
  },
};

const conv2dInputGrad: Implementation = (ops, { dy, weight }, attributes) => {
  const { shape, ...window } = attributes as Window & { shape: readonly number[] };
  return ops.run("FdivConv2dInputGrad", [dy!, weight!], 1, {
    ...windowAttributes(window),
    height: { int: shape[1]! },
    width: { int: shape[2]! },
  });
};

/** The inputs called by a letter and 0, 1, …, in that order. */
function listed(inputs: Record<string, tf.TensorInfo>, letter: string): tf.TensorInfo[] {
  const found: tf.TensorInfo[] = [];
  for (let next = inputs[`${letter}0`]; next; next = inputs[`${letter}${found.length}`]) found.push(next);
  return found;
}

/** A step of all parameters, which come first, then their gradients, then both moments. */
const adamW: Implementation = (ops, inputs, attributes) => {
  const { learningRate, beta1, beta2, epsilon, weightDecays, correction1, correction2, gradientScale } =
    attributes as { weightDecays: number[] } & Record<string, number>;
  const tensors = ["p", "g", "m", "v"].flatMap((kind) => listed(inputs, kind));
  const settings = tf.tensor1d([
    learningRate! / correction1!,
    beta1!,
    beta2!,
    epsilon!,
    1 / Math.sqrt(correction2!),
    gradientScale!,
    ...weightDecays.map((weightDecay) => 1 - learningRate! * weightDecay),
  ]);
  ops.run("FdivAdamW", [...tensors, settings], 0, { N: { int: weightDecays.length } });
  settings.dispose();
  return [];
};

/** The kernels that are made of more than one operation, or that have other names. */
const composed: Record<string, Implementation> = {
  FdivMatMul: (ops, { a, b }, { transposeA, transposeB }) => [ops.product(a!, b!, transposeA, transposeB)],
  FdivWiden: (ops, { x }) => ops.run("FdivWiden", [x!], 1),
  FdivEmbedding: (ops, { table, ids }) =>
    isHalfWeight(table!)
      ? ops.run("FdivHalfGather", [table!, ids!], 1)
      : [tf.gather(table as tf.Tensor, ids as tf.Tensor1D)],
  FdivLinear: linear,
  FdivLinearNoBias: linear,
  FdivSelectedLogProbs: selectedLogProbs,
  FdivSelectedLogProbsGrad: selectedLogProbsGrad,
  FdivCrossEntropy: (ops, { logits, targets }) =>
    ops.run("FdivPickLogProb", [logits!, targets!], 2, { sign: { float: -1 } }),
  FdivCrossEntropyGrad: (ops, { dnll, logits, targets, logSumExp }) =>
    ops.run("FdivPickLogProbGrad", [dnll!, logits!, targets!, logSumExp!], 1, { sign: { float: -1 } }),
  FdivDecoderStep: decoderStep,
  FdivConv2d: (ops, { x, weight, bias }, window) =>
    ops.run("FdivConv2d", [x!, weight!, bias ?? nothing()], 1, windowAttributes(window as Window)),
  FdivConv2dInputGrad: conv2dInputGrad,
  FdivConv2dWeightGrad: (ops, { dy, x }, attributes) => {
    const window = attributes as Window;
    const [height, width] = window.kernel;
    return ops.run("FdivConv2dWeightGrad", [dy!, x!], 1, {
      ...windowAttributes(window),
      height: { int: height },
      width: { int: width },
    });
  },
  FdivSquaredNorms(ops, inputs) {
    const tensors = listed(inputs, "x");
    return ops.run("FdivSquaredNorms", tensors, 1, { N: { int: tensors.length } });
  },
  FdivAdamWAll: adamW,
};

/** Every kernel that has an implementation on TensorFlow. */
export const implementations: Record<string, Implementation> = {
  ...Object.fromEntries(
    Object.entries(direct).map(([name, { inputs, outputs, attributes }]): [string, Implementation] => [
      name,
      (ops, given, values) =>
        ops.run(
          name,
          inputs.map((input) => given[input]!),
          outputs,
          attributes?.(values),
        ),
    ]),
  ),
  ...composed,
  ...transportImplementations,
};
