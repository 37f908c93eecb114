import { type Decoder, type DecoderLinear, decoderStep, decodesAsOne } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { CausalLm } from "./causal-lm.ts";
import { familyOf } from "./families.ts";
import type { DecoderNames, KeyValueCache } from "./family.ts";
import { parameter } from "./projection.ts";
import { rotaryTablesOf } from "./rotary-cache.ts";
import { headWeight } from "./scoring.ts";

/** Whether single tokens can be read by one kernel: where the backend has it, and no adapter stands beside the weights. */
export const decodesWhole = (model: CausalLm): boolean =>
  decodesAsOne() && !(model.lora?.enabled && !model.lora.merged);

/** A model as the decoding kernel takes it, with its cache. */
export function decoderOf(model: CausalLm, cache: KeyValueCache, reach: number): Decoder {
  const { config } = model;
  const names: DecoderNames = familyOf(config.modelType).decoderNames;
  const module = (name: string): DecoderLinear => ({
    weight: parameter(model, `${name}.weight`),
    bias: model.parameters.get(`${name}.bias`),
  });
  const { gate } = names;
  return {
    embedding: parameter(model, names.embedding),
    ...(names.positionEmbedding && { positionEmbedding: parameter(model, names.positionEmbedding) }),
    ...(!names.positionEmbedding && config.rotarySize > 0 && { rotary: rotaryTablesOf(model, reach) }),
    layers: cache.keys.map((keys, i) => ({
      attentionNorm: module(names.layer(i, names.attentionNorm)),
      projections: names.projections.map((name) => module(names.layer(i, name))),
      output: module(names.layer(i, names.output)),
      feedForwardNorm: module(names.layer(i, names.feedForwardNorm)),
      ...(gate && { gate: module(names.layer(i, gate)) }),
      up: module(names.layer(i, names.up)),
      down: module(names.layer(i, names.down)),
      keys,
      values: cache.values[i]!,
      scale: config.attentionScales[i]!,
      window: config.slidingWindows[i]!,
    })),
    norm: module(names.norm),
    head: headWeight(model),
    heads: config.heads,
    kvHeads: config.kvHeads,
    epsilon: config.normEpsilon,
    activation: config.activation,
    transposeWeight: !familyOf(config.modelType).conv1d,
  };
}

/** The same decoder on another cache. */
export const withCache = (decoder: Decoder, { keys, values }: KeyValueCache): Decoder => ({
  ...decoder,
  layers: decoder.layers.map((layer, i) => ({ ...layer, keys: keys[i]!, values: values[i]! })),
});

/**
 * The logits [rows, vocabulary] after one more token a row; its keys and values go to the cache.
 *
 * @param layout [rows, 3], as of `attention`
 */
export function decodeToken(
  decoder: Decoder,
  ids: Int32Array,
  positions: Int32Array,
  layout: Int32Array,
): tf.Tensor2D {
  return tf.tidy(() =>
    decoderStep(decoder, {
      ids: tf.tensor1d(ids, "int32"),
      positions: tf.tensor1d(positions, "int32"),
      layout: tf.tensor2d(layout, [ids.length, 3], "int32"),
    }),
  );
}
