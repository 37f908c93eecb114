import { add, embedding, layerNorm, reshape } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { attend } from "./attend.ts";
import type { CausalLm } from "./causal-lm.ts";
import { type CausalLmConfig, causalLmConfig } from "./config.ts";
import { perLayer } from "./config-check.ts";
import type { Family, ForwardInput, ParameterSpec } from "./family.ts";
import { activationFrom, activationName } from "./hugging-face-activation.ts";
import { booleanField, idField, idsField, type Json, numberField, stringField } from "./json-field.ts";
import { parameter, project } from "./projection.ts";
import { throughLayer } from "./through-layer.ts";
import { inputOfLayer, wantedStates } from "./wanted-states.ts";

function configFrom(json: Json): CausalLmConfig {
  const hiddenSize = numberField(json, "n_embd", 768);
  const heads = numberField(json, "n_head", 12);
  const layers = numberField(json, "n_layer", 12);
  const scaled = booleanField(json, "scale_attn_weights", true);
  const byLayer = booleanField(json, "scale_attn_by_inverse_layer_idx", false);
  if (booleanField(json, "add_cross_attention", false))
    throw new Error("config.json: add_cross_attention is not supported; only decoders are.");
  const bosId = idField(json, "bos_token_id");
  const padId = idField(json, "pad_token_id");
  return causalLmConfig({
    modelType: "gpt2",
    vocabularySize: numberField(json, "vocab_size", 50257),
    hiddenSize,
    intermediateSize: numberField(json, "n_inner", 4 * hiddenSize),
    layers,
    heads,
    maxPositions: numberField(json, "n_positions", numberField(json, "n_ctx", 1024)),
    normEpsilon: numberField(json, "layer_norm_epsilon", 1e-5),
    activation: activationFrom(stringField(json, "activation_function", "gelu_new")),
    tiedHead: booleanField(json, "tie_word_embeddings", true),
    attentionScales: perLayer(
      layers,
      (layer) => (scaled ? (hiddenSize / heads) ** -0.5 : 1) / (byLayer ? layer + 1 : 1),
    ),
    initializerRange: numberField(json, "initializer_range", 0.02),
    ...(bosId !== undefined && { bosId }),
    eosIds: idsField(json, "eos_token_id"),
    ...(padId !== undefined && { padId }),
    huggingFace: json,
  });
}

function configJson(config: CausalLmConfig): Json {
  const [first = 1, second = first] = config.attentionScales;
  return {
    ...config.huggingFace,
    architectures: ["GPT2LMHeadModel"],
    model_type: "gpt2",
    vocab_size: config.vocabularySize,
    n_embd: config.hiddenSize,
    n_inner: config.intermediateSize,
    n_layer: config.layers,
    n_head: config.heads,
    n_positions: config.maxPositions,
    layer_norm_epsilon: config.normEpsilon,
    activation_function: activationName(config.activation),
    tie_word_embeddings: config.tiedHead,
    scale_attn_weights: first !== 1 || config.headSize === 1,
    scale_attn_by_inverse_layer_idx: second !== first,
    initializer_range: config.initializerRange,
    bos_token_id: config.bosId ?? null,
    eos_token_id: config.eosIds.length > 1 ? config.eosIds : (config.eosIds[0] ?? null),
    pad_token_id: config.padId ?? null,
  };
}

function* parameters(config: CausalLmConfig): Iterable<[string, ParameterSpec]> {
  const { hiddenSize: size, intermediateSize, initializerRange: std } = config;
  // Each layer adds two branches to the residual stream; GPT-2 starts their last weights smaller, so that the sum does not grow.
  const branch = std / Math.sqrt(2 * config.layers);
  const dense = (module: string, shape: [number, number], deviation: number): [string, ParameterSpec][] => [
    [`${module}.weight`, { shape, initial: { std: deviation } }],
    [`${module}.bias`, { shape: [shape[1]], initial: "zeros" }],
  ];
  const norm = (module: string): [string, ParameterSpec][] => [
    [`${module}.weight`, { shape: [size], initial: "ones" }],
    [`${module}.bias`, { shape: [size], initial: "zeros" }],
  ];
  yield ["transformer.wte.weight", { shape: [config.vocabularySize, size], initial: { std } }];
  yield ["transformer.wpe.weight", { shape: [config.maxPositions, size], initial: { std } }];
  for (let layer = 0; layer < config.layers; layer++) {
    const at = `transformer.h.${layer}`;
    yield* norm(`${at}.ln_1`);
    yield* dense(`${at}.attn.c_attn`, [size, 3 * size], std);
    yield* dense(`${at}.attn.c_proj`, [size, size], branch);
    yield* norm(`${at}.ln_2`);
    yield* dense(`${at}.mlp.c_fc`, [size, intermediateSize], std);
    yield* dense(`${at}.mlp.c_proj`, [intermediateSize, size], branch);
  }
  yield* norm("transformer.ln_f");
  if (!config.tiedHead) yield ["lm_head.weight", { shape: [config.vocabularySize, size], initial: { std } }];
}

function attentionBlock(model: CausalLm, layer: number, x: tf.Tensor, input: ForwardInput): tf.Tensor {
  const at = `transformer.h.${layer}.attn`;
  const [rows, length] = input.ids.shape as [number, number];
  const fused = project(model, `${at}.c_attn`, x, true);
  const [q, k, v] = tf.split(fused, 3, 1).map((part) => reshape(part, [rows, length, x.shape[1]!]));
  const mixed = attend(model.config, layer, { q: q!, k: k!, v: v! }, input);
  return project(model, `${at}.c_proj`, wantedStates(mixed, input), true);
}

function hidden(model: CausalLm, input: ForwardInput): tf.Tensor2D {
  const { layers, normEpsilon, activation } = model.config;
  const norm = (x: tf.Tensor, name: string) =>
    layerNorm(x, parameter(model, `${name}.weight`), parameter(model, `${name}.bias`), normEpsilon);
  const look = (name: string, ids: tf.Tensor) => embedding(parameter(model, name), tf.reshape(ids, [-1]));
  let x = add(look("transformer.wte.weight", input.ids), look("transformer.wpe.weight", input.positions));
  for (let layer = 0; layer < layers; layer++) {
    const at = `transformer.h.${layer}`;
    x = throughLayer(model, `${at}.`, x, inputOfLayer(input, layer, layers), (y, given) => {
      const attended = attentionBlock(model, layer, norm(y, `${at}.ln_1`), given);
      const mixed = add(wantedStates(y, given), attended);
      const wide = project(model, `${at}.mlp.c_fc`, norm(mixed, `${at}.ln_2`), true, activation);
      return add(mixed, project(model, `${at}.mlp.c_proj`, wide, true));
    });
  }
  return norm(x, "transformer.ln_f") as tf.Tensor2D;
}

/** GPT-2: learned positions, layer norms and weights [in, out] (Radford et al. 2019). */
export const gpt2: Family = {
  configFrom,
  configJson,
  parameters: (config) => new Map(parameters(config)),
  canonicalName: (name) => {
    if (/\.attn\.(masked_)?bias$/.test(name)) return undefined;
    return /^(h\.|wte\.|wpe\.|ln_f\.)/.test(name) ? `transformer.${name}` : name;
  },
  hidden,
  headName: (config) => (config.tiedHead ? "transformer.wte.weight" : "lm_head.weight"),
  conv1d: true,
  decoderNames: {
    embedding: "transformer.wte.weight",
    positionEmbedding: "transformer.wpe.weight",
    norm: "transformer.ln_f",
    layer: (index, module) => `transformer.h.${index}.${module}`,
    attentionNorm: "ln_1",
    projections: ["attn.c_attn"],
    output: "attn.c_proj",
    feedForwardNorm: "ln_2",
    up: "mlp.c_fc",
    down: "mlp.c_proj",
  },
  loraTargets: ["c_attn"],
};
