import * as tf from "@tensorflow/tfjs-core";
import type { Activation } from "./activation.ts";
import { attention } from "./attention.ts";
import { cacheWrite } from "./cache-write.ts";
import { embedding } from "./embedding.ts";
import { weightShape } from "./half-weights.ts";
import { checkIndices } from "./index-check.ts";
import { defineKernel, hasFastKernel } from "./kernel.ts";
import { layerNorm } from "./layer-norm.ts";
import { linear } from "./linear.ts";
import { fromPanels } from "./packed-decoder.ts";
import { rmsNorm } from "./rms-norm.ts";
import { rotary } from "./rotary.ts";

/** A linear module's weight, possibly in panels, and bias. */
export interface DecoderLinear {
  weight: tf.Tensor;
  bias?: tf.Tensor | undefined;
}

/** One layer of a decoder; a norm without a bias is a root-mean-square norm. */
export interface DecoderLayer {
  attentionNorm: DecoderLinear;
  /** Queries, keys and values: three modules, or one whose outputs lie one behind the other. */
  projections: readonly DecoderLinear[];
  output: DecoderLinear;
  feedForwardNorm: DecoderLinear;
  /** The gate of a gated unit, where there is one. */
  gate?: DecoderLinear;
  up: DecoderLinear;
  down: DecoderLinear;
  /** The layer's cache, variables [R, S, kvHeads·D], written in place. */
  keys: tf.Variable;
  values: tf.Variable;
  /** Of the attention's scores. */
  scale: number;
  /** 0: all keys. */
  window: number;
}

export interface Decoder {
  embedding: tf.Tensor;
  /** Learned positions. */
  positionEmbedding?: tf.Tensor;
  rotary?: { cos: tf.Tensor; sin: tf.Tensor };
  layers: readonly DecoderLayer[];
  norm: DecoderLinear;
  /** [V, H] */
  head: tf.Tensor;
  heads: number;
  kvHeads: number;
  epsilon: number;
  activation: Activation;
  /** Whether weights are [out, in], as a Hugging Face Linear's; GPT-2's are [in, out] (false). The head is always [V, H]. */
  transposeWeight: boolean;
}

/** What a step reads: one token a row, int32. */
export interface DecoderTokens {
  /** [R] */
  ids: tf.Tensor;
  /** [R] */
  positions: tf.Tensor;
  /** [R, 3], as of `attention` */
  layout: tf.Tensor;
}

type Slots = Record<string, tf.Tensor | undefined>;

/** The names of a layer's tensors, in the order in which a fast kernel takes them. */
export const decoderSlots = [
  "attentionNorm.weight",
  "attentionNorm.bias",
  "projection0.weight",
  "projection0.bias",
  "projection1.weight",
  "projection1.bias",
  "projection2.weight",
  "projection2.bias",
  "output.weight",
  "output.bias",
  "feedForwardNorm.weight",
  "feedForwardNorm.bias",
  "gate.weight",
  "gate.bias",
  "up.weight",
  "up.bias",
  "down.weight",
  "down.bias",
  "keys",
  "values",
] as const;

export interface DecoderAttributes {
  layers: number;
  heads: number;
  kvHeads: number;
  epsilon: number;
  activation: Activation;
  transposeWeight: boolean;
  scales: number[];
  windows: number[];
}

function slotsOf(layer: DecoderLayer, index: number): Slots {
  const slots: Slots = {};
  const add = (name: string, module: DecoderLinear | undefined) => {
    slots[`${index}.${name}.weight`] = module?.weight;
    slots[`${index}.${name}.bias`] = module?.bias;
  };
  add("attentionNorm", layer.attentionNorm);
  layer.projections.forEach((module, i) => {
    add(`projection${i}`, module);
  });
  add("output", layer.output);
  add("feedForwardNorm", layer.feedForwardNorm);
  add("gate", layer.gate);
  add("up", layer.up);
  add("down", layer.down);
  slots[`${index}.keys`] = layer.keys;
  slots[`${index}.values`] = layer.values;
  return slots;
}

/** How wide a decoder's feed-forward is: what its way down reads. */
export function decoderWidth(inputs: Record<string, tf.TensorInfo | undefined>, transposed: boolean): number {
  const down = inputs["0.down.weight"]!;
  return down.shape.length === 3 ? down.shape[1]! : weightShape(down)[transposed ? 1 : 0]!;
}

/** FdivDecoderStep: the logits [R, V] after one more token a row; the caches take its keys and values in place. */
export const decoderStepKernel = defineKernel<Slots, DecoderAttributes>({
  name: "FdivDecoderStep",
  generic(inputs, attributes) {
    const { layers, heads, kvHeads, epsilon, activation, transposeWeight, scales, windows } = attributes;
    const { ids, positions, layout, cos, sin } = inputs;
    const rows = ids!.size;
    const normed = (x: tf.Tensor, name: string): tf.Tensor => {
      const [weight, bias] = [inputs[`${name}.weight`]!, inputs[`${name}.bias`]];
      return bias ? layerNorm(x, weight, bias, epsilon) : rmsNorm(x, weight, epsilon);
    };
    const multiplied = (
      x: tf.Tensor,
      weight: tf.Tensor,
      outputs: number,
      transposed: boolean,
      options: { bias?: tf.Tensor; activation?: Activation } = {},
    ): tf.Tensor => {
      const isPacked = weight.rank === 3;
      return linear(x, isPacked ? fromPanels(weight, outputs) : weight, {
        transposeWeight: transposed && !isPacked,
        ...options,
      });
    };
    const project = (
      x: tf.Tensor,
      name: string,
      outputs: number,
      activation: Activation = "none",
    ): tf.Tensor => {
      const bias = inputs[`${name}.bias`];
      return multiplied(x, inputs[`${name}.weight`]!, outputs, transposeWeight, {
        activation,
        ...(bias && { bias }),
      });
    };
    const kvWidth = inputs["0.keys"]!.shape[2]!;
    const width = (kvWidth / kvHeads) * heads;
    const hidden = inputs["norm.weight"]!.size;
    const inner = decoderWidth(inputs, transposeWeight);
    const turned = (x: tf.Tensor, count: number): tf.Tensor =>
      cos && sin ? rotary(x, cos, sin, tf.reshape(positions!, [rows, 1]), { heads: count }) : x;
    let x = embedding(inputs.embedding!, ids!);
    if (inputs.positionEmbedding) x = tf.add(x, embedding(inputs.positionEmbedding, positions!));
    for (let i = 0; i < layers; i++) {
      const at = normed(x, `${i}.attentionNorm`);
      const keys = inputs[`${i}.keys`] as tf.Variable;
      const values = inputs[`${i}.values`] as tf.Variable;
      const parts = inputs[`${i}.projection1.weight`]
        ? [width, kvWidth, kvWidth].map((outputs, part) => project(at, `${i}.projection${part}`, outputs))
        : tf.split(project(at, `${i}.projection0`, width + 2 * kvWidth), [width, kvWidth, kvWidth], 1);
      const [q, k, v] = parts.map((part) => tf.reshape(part, [rows, 1, part.shape[1]!]));
      cacheWrite(keys, turned(k!, kvHeads), layout!);
      cacheWrite(values, v!, layout!);
      const options = { heads, kvHeads, scale: scales[i]!, window: windows[i]! };
      const mixed = attention(turned(q!, heads), keys, values, layout!, options);
      x = tf.add(x, project(tf.reshape(mixed, [rows, -1]), `${i}.output`, hidden));
      const between = normed(x, `${i}.feedForwardNorm`);
      const wide = inputs[`${i}.gate.weight`]
        ? tf.mul(project(between, `${i}.gate`, inner, activation), project(between, `${i}.up`, inner))
        : project(between, `${i}.up`, inner, activation);
      x = tf.add(x, project(wide, `${i}.down`, hidden));
    }
    return multiplied(normed(x, "norm"), inputs.head!, weightShape(inputs.embedding!)[0]!, true);
  },
});

/** Whether the backend computes a whole step as one; elsewhere layer by layer is as fast. */
export const decodesAsOne = (): boolean => hasFastKernel("FdivDecoderStep");

/** What the kernel takes of a decoder, gathered once: a step is short enough for that to show. */
const known = new WeakMap<Decoder, { slots: Slots; attributes: DecoderAttributes }>();

function gathered(decoder: Decoder): { slots: Slots; attributes: DecoderAttributes } {
  const before = known.get(decoder);
  if (before) return before;
  const { heads, kvHeads, epsilon, activation, transposeWeight, layers } = decoder;
  const slots: Slots = {
    embedding: decoder.embedding,
    positionEmbedding: decoder.positionEmbedding,
    cos: decoder.rotary?.cos,
    sin: decoder.rotary?.sin,
    "norm.weight": decoder.norm.weight,
    "norm.bias": decoder.norm.bias,
    head: decoder.head,
  };
  for (const [i, layer] of layers.entries()) Object.assign(slots, slotsOf(layer, i));
  const attributes: DecoderAttributes = {
    layers: layers.length,
    heads,
    kvHeads,
    epsilon,
    activation,
    transposeWeight,
    scales: layers.map(({ scale }) => scale),
    windows: layers.map(({ window }) => window),
  };
  known.set(decoder, { slots, attributes });
  return { slots, attributes };
}

/**
 * Reads one more token a row through a decoder's cache, not differentiable. A decoder must not be changed once it has been read.
 *
 * @returns the logits after it [R, V]
 * @throws when an id or a position is outside its table
 */
export function decoderStep(decoder: Decoder, { ids, positions, layout }: DecoderTokens): tf.Tensor2D {
  checkIndices("decoderStep", "ids", ids, decoder.embedding.shape[0]!);
  const places = decoder.positionEmbedding ?? decoder.rotary?.cos;
  if (places) checkIndices("decoderStep", "positions", positions, places.shape[0]!);
  const { slots, attributes } = gathered(decoder);
  return decoderStepKernel({ ids, positions, layout, ...slots }, attributes)[0] as tf.Tensor2D;
}
