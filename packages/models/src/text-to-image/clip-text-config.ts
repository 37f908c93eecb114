import type { Activation } from "../config.ts";
import { checkShare, checkSizes } from "../config-check.ts";
import { activationFrom, activationName } from "../hugging-face-activation.ts";
import { type Json, numberField, objectField, stringField } from "../json-field.ts";

/** CLIP's text encoder, in the layout of transformers' CLIPTextModel. */
export interface ClipTextConfig {
  vocabularySize: number;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  /** Tokens of a text, which is padded to so many. */
  positions: number;
  normEpsilon: number;
  /** `quickGelu` is x·σ(1.702x). */
  activation: Activation | "quickGelu";
  /** Standard deviation of a random initialisation. */
  initializerRange: number;
  /** The `config.json` this came from, kept so that saving loses nothing; empty for a model made here. */
  huggingFace: Json;
}

/** Completes and checks a config; the defaults are those of Stable Diffusion 1's encoder, ViT-L/14's. @throws RangeError naming the field that can't be */
export function clipTextConfig(options: Partial<ClipTextConfig> = {}): ClipTextConfig {
  const config: ClipTextConfig = {
    vocabularySize: 49_408,
    hiddenSize: 768,
    intermediateSize: 4 * (options.hiddenSize ?? 768),
    layers: 12,
    heads: 12,
    positions: 77,
    normEpsilon: 1e-5,
    activation: "quickGelu",
    initializerRange: 0.02,
    huggingFace: {},
    ...options,
  };
  const what = "CLIP text config";
  checkSizes(what, config, [
    "vocabularySize",
    "hiddenSize",
    "intermediateSize",
    "layers",
    "heads",
    "positions",
  ]);
  if (config.hiddenSize % config.heads !== 0)
    throw new RangeError(
      `${what}: hiddenSize (${config.hiddenSize}) must be a multiple of heads (${config.heads})`,
    );
  checkShare(what, "normEpsilon", config.normEpsilon);
  return config;
}

/**
 * Reads the config.json of a CLIPTextModel, or the text's part of a whole CLIP's.
 *
 * @throws Error naming the field that can't be read
 */
export function clipTextConfigFrom(outer: Json): ClipTextConfig {
  const kind = stringField(outer, "model_type", "clip_text_model");
  if (kind !== "clip_text_model" && kind !== "clip")
    throw new Error(`config.json: model_type is "${kind}"; only clip_text_model and clip can be read.`);
  const json = (kind === "clip" && objectField(outer, "text_config")) || outer;
  const activation = stringField(json, "hidden_act", "quick_gelu");
  return clipTextConfig({
    vocabularySize: numberField(json, "vocab_size", 49_408),
    hiddenSize: numberField(json, "hidden_size", 512),
    intermediateSize: numberField(json, "intermediate_size", 2048),
    layers: numberField(json, "num_hidden_layers", 12),
    heads: numberField(json, "num_attention_heads", 8),
    positions: numberField(json, "max_position_embeddings", 77),
    normEpsilon: numberField(json, "layer_norm_eps", 1e-5),
    activation: activation === "quick_gelu" ? "quickGelu" : activationFrom(activation),
    initializerRange: numberField(json, "initializer_range", 0.02),
    huggingFace: json,
  });
}

/** The same as transformers writes it. */
export function clipTextConfigJson(config: ClipTextConfig): Json {
  // Written from JavaScript, 1.0 is 1, which transformers 5 does not take for a float; it is the default.
  const { initializer_factor: factor, ...rest } = config.huggingFace;
  return {
    ...rest,
    ...(!Number.isInteger(factor) && factor !== undefined && { initializer_factor: factor }),
    architectures: ["CLIPTextModel"],
    model_type: "clip_text_model",
    vocab_size: config.vocabularySize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    max_position_embeddings: config.positions,
    layer_norm_eps: config.normEpsilon,
    hidden_act: config.activation === "quickGelu" ? "quick_gelu" : activationName(config.activation),
    initializer_range: config.initializerRange,
  };
}
