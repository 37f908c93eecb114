import { activate, add, embedding, reshape, rmsNorm, rotary, swiglu } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { attend } from "./attend.ts";
import type { CausalLm } from "./causal-lm.ts";
import type { CausalLmConfig } from "./config.ts";
import type { Family, ForwardInput, ParameterSpec } from "./family.ts";
import { llamaConfigFrom, llamaConfigJson } from "./llama-config.ts";
import { parameter, project } from "./projection.ts";
import { rotaryTablesOf } from "./rotary-cache.ts";
import { throughLayer } from "./through-layer.ts";
import { inputOfLayer, wantedStates } from "./wanted-states.ts";

/** A linear module's weight and, if asked, its bias. */
function* linearSpecs(
  config: CausalLmConfig,
  module: string,
  [outputs, inputs]: [number, number],
  bias: boolean,
): Iterable<[string, ParameterSpec]> {
  yield [`${module}.weight`, { shape: [outputs, inputs], initial: { std: config.initializerRange } }];
  if (bias) yield [`${module}.bias`, { shape: [outputs], initial: "zeros" }];
}

function* llamaParameters(config: CausalLmConfig): Iterable<[string, ParameterSpec]> {
  const { hiddenSize, intermediateSize, heads, kvHeads, headSize, vocabularySize } = config;
  const norm: ParameterSpec = { shape: [hiddenSize], initial: "ones" };
  yield* linearSpecs(config, "model.embed_tokens", [vocabularySize, hiddenSize], false);
  for (let layer = 0; layer < config.layers; layer++) {
    const at = `model.layers.${layer}`;
    const kv: [number, number] = [kvHeads * headSize, hiddenSize];
    const { attentionBias, attentionOutputBias, mlpBias } = config;
    yield [`${at}.input_layernorm.weight`, norm];
    yield* linearSpecs(config, `${at}.self_attn.q_proj`, [heads * headSize, hiddenSize], attentionBias);
    yield* linearSpecs(config, `${at}.self_attn.k_proj`, kv, attentionBias);
    yield* linearSpecs(config, `${at}.self_attn.v_proj`, kv, attentionBias);
    yield* linearSpecs(config, `${at}.self_attn.o_proj`, [hiddenSize, heads * headSize], attentionOutputBias);
    yield [`${at}.post_attention_layernorm.weight`, norm];
    yield* linearSpecs(config, `${at}.mlp.gate_proj`, [intermediateSize, hiddenSize], mlpBias);
    yield* linearSpecs(config, `${at}.mlp.up_proj`, [intermediateSize, hiddenSize], mlpBias);
    yield* linearSpecs(config, `${at}.mlp.down_proj`, [hiddenSize, intermediateSize], mlpBias);
  }
  yield ["model.norm.weight", norm];
  if (!config.tiedHead) yield* linearSpecs(config, "lm_head", [vocabularySize, hiddenSize], false);
}

function attentionBlock(model: CausalLm, layer: number, x: tf.Tensor, input: ForwardInput): tf.Tensor {
  const { heads, kvHeads, rotarySize } = model.config;
  const at = `model.layers.${layer}.self_attn`;
  const [rows, length] = input.ids.shape as [number, number];
  const byRow = (module: string) => {
    const y = project(model, `${at}.${module}`, x, false);
    return reshape(y, [rows, length, y.shape[1]!]);
  };
  const turn = (y: tf.Tensor, count: number) => {
    if (rotarySize === 0) return y;
    const { cos, sin } = rotaryTablesOf(model, input.reach);
    return rotary(y, cos, sin, input.positions, { heads: count });
  };
  const q = turn(byRow("q_proj"), heads);
  const k = turn(byRow("k_proj"), kvHeads);
  const mixed = attend(model.config, layer, { q, k, v: byRow("v_proj") }, input);
  return project(model, `${at}.o_proj`, wantedStates(mixed, input), false);
}

function feedForward(model: CausalLm, layer: number, x: tf.Tensor): tf.Tensor {
  const at = `model.layers.${layer}.mlp`;
  const { activation } = model.config;
  const gate = project(model, `${at}.gate_proj`, x, false);
  const up = project(model, `${at}.up_proj`, x, false);
  const gated = activation === "silu" ? swiglu(gate, up) : tf.mul(activate(gate, activation), up);
  return project(model, `${at}.down_proj`, gated, false);
}

function llamaHidden(model: CausalLm, input: ForwardInput): tf.Tensor2D {
  const { layers, normEpsilon } = model.config;
  const norm = (x: tf.Tensor, name: string) => rmsNorm(x, parameter(model, `${name}.weight`), normEpsilon);
  let x = embedding(parameter(model, "model.embed_tokens.weight"), tf.reshape(input.ids, [-1]));
  for (let layer = 0; layer < layers; layer++) {
    const at = `model.layers.${layer}`;
    x = throughLayer(model, `${at}.`, x, inputOfLayer(input, layer, layers), (y, given) => {
      const attended = attentionBlock(model, layer, norm(y, `${at}.input_layernorm`), given);
      const mixed = add(wantedStates(y, given), attended);
      return add(mixed, feedForward(model, layer, norm(mixed, `${at}.post_attention_layernorm`)));
    });
  }
  return norm(x, "model.norm") as tf.Tensor2D;
}

/** Llama, and what differs from it in biases and windows only: SmolLM2, Mistral, Qwen2. */
export const llama: Family = {
  configFrom: llamaConfigFrom,
  configJson: llamaConfigJson,
  parameters: (config) => new Map(llamaParameters(config)),
  canonicalName: (name) => {
    if (name.endsWith(".rotary_emb.inv_freq")) return undefined;
    return /^(layers\.|embed_tokens\.|norm\.)/.test(name) ? `model.${name}` : name;
  },
  hidden: llamaHidden,
  headName: (config) => (config.tiedHead ? "model.embed_tokens.weight" : "lm_head.weight"),
  conv1d: false,
  decoderNames: {
    embedding: "model.embed_tokens.weight",
    norm: "model.norm",
    layer: (index, module) => `model.layers.${index}.${module}`,
    attentionNorm: "input_layernorm",
    projections: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    output: "self_attn.o_proj",
    feedForwardNorm: "post_attention_layernorm",
    gate: "mlp.gate_proj",
    up: "mlp.up_proj",
    down: "mlp.down_proj",
  },
  loraTargets: ["q_proj", "v_proj"],
};
