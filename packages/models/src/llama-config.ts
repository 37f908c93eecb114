import { type CausalLmConfig, causalLmConfig } from "./config.ts";
import { perLayer } from "./config-check.ts";
import { activationFrom, activationName } from "./hugging-face-activation.ts";
import {
  booleanField,
  idField,
  idsField,
  type Json,
  numberField,
  objectField,
  stringField,
} from "./json-field.ts";
import { ropeScalingFrom, ropeScalingJson } from "./rotary-scaling.ts";

/** Which layers see only a window: all of Mistral's, those that Qwen2 names. */
function slidingWindows(json: Json, modelType: string, layers: number): number[] {
  const each = (window: (layer: number) => number) => perLayer(layers, window);
  if (modelType === "mistral") {
    const window = json.sliding_window === null ? 0 : numberField(json, "sliding_window", 4096);
    return each(() => window);
  }
  if (modelType !== "qwen2" || !booleanField(json, "use_sliding_window", false)) return each(() => 0);
  const window = json.sliding_window === null ? 0 : numberField(json, "sliding_window", 4096);
  const types = json.layer_types;
  if (Array.isArray(types)) return each((layer) => (types[layer] === "sliding_attention" ? window : 0));
  const full = numberField(json, "max_window_layers", 28);
  return each((layer) => (layer >= full ? window : 0));
}

/** Reads a `config.json` of type llama, mistral or qwen2, with Hugging Face's defaults for what it leaves out. */
export function llamaConfigFrom(json: Json): CausalLmConfig {
  const modelType = stringField(json, "model_type", "llama");
  const hiddenSize = numberField(json, "hidden_size");
  const heads = numberField(json, "num_attention_heads");
  const layers = numberField(json, "num_hidden_layers");
  const headSize = numberField(json, "head_dim", Math.floor(hiddenSize / heads));
  const maxPositions = numberField(json, "max_position_embeddings", 2048);
  const rope = objectField(json, "rope_parameters") ?? objectField(json, "rope_scaling") ?? {};
  const partial = numberField(rope, "partial_rotary_factor", numberField(json, "partial_rotary_factor", 1));
  const attentionBias = modelType === "qwen2" || booleanField(json, "attention_bias", false);
  const scaling = ropeScalingFrom(rope, maxPositions);
  const bosId = idField(json, "bos_token_id");
  const padId = idField(json, "pad_token_id");
  return causalLmConfig({
    modelType,
    vocabularySize: numberField(json, "vocab_size"),
    hiddenSize,
    intermediateSize: numberField(json, "intermediate_size"),
    layers,
    heads,
    kvHeads: numberField(json, "num_key_value_heads", modelType === "mistral" ? 8 : heads),
    headSize,
    maxPositions,
    normEpsilon: numberField(json, "rms_norm_eps", 1e-6),
    activation: activationFrom(stringField(json, "hidden_act", "silu")),
    tiedHead: booleanField(json, "tie_word_embeddings", false),
    attentionBias,
    attentionOutputBias: modelType !== "qwen2" && attentionBias,
    mlpBias: booleanField(json, "mlp_bias", false),
    ropeTheta: numberField(rope, "rope_theta", numberField(json, "rope_theta", 10000)),
    ...(scaling && { ropeScaling: scaling }),
    rotarySize: Math.floor(headSize * partial),
    slidingWindows: slidingWindows(json, modelType, layers),
    initializerRange: numberField(json, "initializer_range", 0.02),
    ...(bosId !== undefined && { bosId }),
    eosIds: idsField(json, "eos_token_id"),
    ...(padId !== undefined && { padId }),
    huggingFace: json,
  });
}

const architectures: Record<string, string> = {
  llama: "LlamaForCausalLM",
  mistral: "MistralForCausalLM",
  qwen2: "Qwen2ForCausalLM",
};

/** The `config.json` of a Llama, Mistral or Qwen2 model; what it was read from is kept where nothing contradicts it. */
export function llamaConfigJson(config: CausalLmConfig): Json {
  const window = Math.max(...config.slidingWindows);
  const windowed = config.slidingWindows.map((size) => size > 0);
  const { rope_scaling: _, ...raw } = config.huggingFace;
  const rope = raw.rope_parameters
    ? {}
    : {
        rope_theta: config.ropeTheta,
        rope_scaling: config.ropeScaling ? ropeScalingJson(config.ropeScaling) : null,
        ...(config.rotarySize !== config.headSize && {
          partial_rotary_factor: config.rotarySize / config.headSize,
        }),
      };
  const windows: Record<string, Json> = {
    mistral: { sliding_window: window || null },
    qwen2: {
      use_sliding_window: window > 0,
      sliding_window: window || null,
      layer_types: windowed.map((on) => (on ? "sliding_attention" : "full_attention")),
    },
    llama: { attention_bias: config.attentionBias, mlp_bias: config.mlpBias },
  };
  return {
    ...raw,
    ...rope,
    ...windows[config.modelType],
    architectures: [architectures[config.modelType]],
    model_type: config.modelType,
    vocab_size: config.vocabularySize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headSize,
    max_position_embeddings: config.maxPositions,
    rms_norm_eps: config.normEpsilon,
    hidden_act: activationName(config.activation),
    tie_word_embeddings: config.tiedHead,
    initializer_range: config.initializerRange,
    bos_token_id: config.bosId ?? null,
    eos_token_id: config.eosIds.length > 1 ? config.eosIds : (config.eosIds[0] ?? null),
    pad_token_id: config.padId ?? null,
  };
}
