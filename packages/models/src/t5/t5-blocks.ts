import {
  activate,
  add,
  attention,
  biasedAttention,
  dropoutAttention,
  embedding,
  reshape,
  rmsNorm,
  swiglu,
} from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { attentionMask, dropped, rateOf } from "../dropout.ts";
import { parameter, project } from "../projection.ts";
import { throughLayer } from "../through-layer.ts";
import { relativeBias } from "./relative-bias.ts";
import type { T5 } from "./t5-model.ts";
import { distanceTable } from "./t5-parameters.ts";

/** Keys or values of one layer, [rows, keys, heads·headSize]. */
export interface KeysAndValues {
  k: tf.Tensor;
  v: tf.Tensor;
}

/** What a stack's attention reads beside the states; tensors have no gradient here but by `crossed`. */
export interface StackInput {
  rows: number;
  /** int32 [rows, 3]: who sees whom among a row's own tokens. */
  layout: tf.Tensor;
  /** Position of the first token. */
  from: number;
  /** How many keys a row has: its tokens, or all that a cache has room for. */
  keys: number;
  /** int32 [rows, 3]: how much of its input each row sees. */
  crossLayout?: tf.Tensor;
}

const norm = (model: T5, name: string, x: tf.Tensor): tf.Tensor =>
  rmsNorm(x, parameter(model, `${name}.weight`), model.config.normEpsilon);

/** x [rows·length, in] through a projection, by row. */
const byRow = (model: T5, module: string, x: tf.Tensor, rows: number): tf.Tensor => {
  const y = project(model, module, x, false);
  return reshape(y, [rows, y.shape[0]! / rows, y.shape[1]!]);
};

/** The keys and values that a layer's attention makes of states. */
export const keysAndValues = (model: T5, module: string, x: tf.Tensor, rows: number): KeysAndValues => ({
  k: byRow(model, `${module}.k`, x, rows),
  v: byRow(model, `${module}.v`, x, rows),
});

/** The bias of a stack's positions, [heads, queries, keys]. */
export function stackBias(
  model: T5,
  stack: "encoder" | "decoder",
  range: { from: number; queries: number; keys: number },
): tf.Tensor {
  const { maxDistance } = model.config;
  const bidirectional = stack === "encoder";
  return tf.tidy(() =>
    relativeBias(parameter(model, distanceTable(stack)), range, { bidirectional, maxDistance }),
  );
}

/** x with the model's share of it dropped at a place. */
const drop = (model: T5, place: string, x: tf.Tensor): tf.Tensor =>
  dropped(model, place, x, rateOf(model, model.config.dropout));

function feedForward(model: T5, at: string, x: tf.Tensor): tf.Tensor {
  const { gated, activation } = model.config;
  const narrow = (wide: tf.Tensor) => project(model, `${at}.wo`, drop(model, `${at}.dropout`, wide), false);
  if (!gated) return narrow(project(model, `${at}.wi`, x, false, activation));
  const gate = project(model, `${at}.wi_0`, x, false);
  const up = project(model, `${at}.wi_1`, x, false);
  const wide = activation === "silu" ? swiglu(gate, up) : tf.mul(activate(gate, activation), up);
  return narrow(wide);
}

/** Attention of a module to keys and values, [rows·queries, heads·headSize]. */
function attend(
  model: T5,
  module: string,
  { q, k, v, layout, bias }: Record<"q" | "k" | "v" | "layout", tf.Tensor> & { bias?: tf.Tensor },
): tf.Tensor {
  const { heads, dropout } = model.config;
  // T5 does not divide the logits of attention by √D; its initialisation does.
  const options = { heads, kvHeads: heads, scale: 1 };
  const flat = (y: tf.Tensor) => reshape(y, [-1, y.shape[2]!]);
  const rate = rateOf(model, dropout);
  if (rate === 0)
    return flat(bias ? biasedAttention(q, k, v, layout, bias, options) : attention(q, k, v, layout, options));
  const [rows, queries] = q.shape as [number, number];
  const mask = attentionMask(model, `${module}.dropout`, [rows, heads, queries, k.shape[1]!], rate);
  return flat(dropoutAttention({ q, k, v, layout, mask, bias }, options));
}

/** What a layer reads of its row's own tokens: those before, through a cache, or by default the new ones alone. */
export type OwnKeys = (layer: number, made: KeysAndValues) => KeysAndValues;
/** What a decoder's layer reads of the input; through the gradient as well. */
export type CrossKeys = (layer: number) => KeysAndValues;

/**
 * One layer of a stack: attention among its own tokens, to the input where there is one, and feed-forward, each of the normalised states
 * and added to them.
 */
function stackLayer(
  model: T5,
  {
    stack,
    layer,
    own,
    crossed,
  }: { stack: "encoder" | "decoder"; layer: number; own: OwnKeys; crossed?: CrossKeys },
  x: tf.Tensor,
  bias: tf.Tensor,
  { rows, layout, crossLayout }: StackInput,
): tf.Tensor {
  const at = `${stack}.block.${layer}.layer`;
  const added = (y: tf.Tensor, place: string, more: tf.Tensor) =>
    add(y, drop(model, `${at}.${place}.dropout`, more));
  const self = `${at}.0.SelfAttention`;
  const normed = norm(model, `${at}.0.layer_norm`, x);
  const { k, v } = own(layer, keysAndValues(model, self, normed, rows));
  const mixed = attend(model, self, { q: byRow(model, `${self}.q`, normed, rows), k, v, layout, bias });
  let y = added(x, "0", project(model, `${self}.o`, mixed, false));
  if (crossed && crossLayout) {
    const cross = `${at}.1.EncDecAttention`;
    const q = byRow(model, `${cross}.q`, norm(model, `${at}.1.layer_norm`, y), rows);
    const input = crossed(layer);
    const read = attend(model, cross, { q, ...input, layout: crossLayout });
    y = added(y, "1", project(model, `${cross}.o`, read, false));
  }
  const last = crossed ? "2" : "1";
  const wide = feedForward(model, `${at}.${last}.DenseReluDense`, norm(model, `${at}.${last}.layer_norm`, y));
  return added(y, last, wide);
}

/** What a stack reads beside its own new tokens. */
export interface StackReads {
  /** Default: a row's new tokens alone. */
  own?: OwnKeys;
  /** A decoder's view of the input: its final states [rows·length, hiddenSize], or the keys and values made of them. */
  crossed?: tf.Tensor | CrossKeys;
}

/** A stack over tokens: the final, normalised states [rows·length, hiddenSize]. */
export function throughStack(
  model: T5,
  stack: "encoder" | "decoder",
  ids: tf.Tensor,
  input: StackInput,
  { own = (_, made) => made, crossed }: StackReads = {},
): tf.Tensor2D {
  const { layers, decoderLayers } = model.config;
  const table = distanceTable(stack);
  const biasOf = () =>
    stackBias(model, stack, { from: input.from, queries: ids.size / input.rows, keys: input.keys });
  // The bias is a parameter's function, so a layer that is computed anew makes its own.
  const anew = model.gradientCheckpointing === true;
  const bias = anew ? undefined : biasOf();
  const keysOf =
    (states: tf.Tensor): CrossKeys =>
    (layer) =>
      keysAndValues(model, `decoder.block.${layer}.layer.1.EncDecAttention`, states, input.rows);
  const words = embedding(parameter(model, "shared.weight"), tf.reshape(ids, [-1]));
  let x = drop(model, `${stack}.dropout`, words);
  const count = stack === "encoder" ? layers : decoderLayers;
  for (let layer = 0; layer < count; layer++) {
    const run = (y: tf.Tensor, given: StackInput, keys?: CrossKeys) =>
      stackLayer(model, { stack, layer, own, ...(keys && { crossed: keys }) }, y, bias ?? biasOf(), given);
    const through = (y: tf.Tensor, f: (y: tf.Tensor, given: StackInput) => tf.Tensor) =>
      throughLayer(model, `${stack}.block.${layer}.`, y, input, f, [table]);
    if (crossed instanceof tf.Tensor && anew)
      // The input's states have a gradient too, so they go through the layer below its own.
      x = through(tf.concat([x, crossed], 0), (both, given) => {
        const [y, states] = tf.split(both, [ids.size, crossed.shape[0]!], 0);
        return run(y!, given, keysOf(states!));
      });
    else
      x = through(x, (y, given) => run(y, given, crossed instanceof tf.Tensor ? keysOf(crossed) : crossed));
  }
  const states = norm(model, `${stack}.final_layer_norm`, x);
  return drop(model, `${stack}.final_dropout`, states) as tf.Tensor2D;
}
