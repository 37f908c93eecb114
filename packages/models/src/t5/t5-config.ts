import type { Activation } from "../config.ts";
import { checkId, checkShare, checkSizes } from "../config-check.ts";
import { activationFrom, activationName } from "../hugging-face-activation.ts";
import { booleanField, idField, idsField, type Json, numberField, stringField } from "../json-field.ts";

/** The architecture of a T5: an encoder and a decoder with relative positions. */
export interface T5Config {
  /** Hugging Face's `model_type`: t5 or mt5. */
  modelType: string;
  vocabularySize: number;
  hiddenSize: number;
  /** Of one head; heads × headSize need not be hiddenSize. */
  headSize: number;
  intermediateSize: number;
  layers: number;
  decoderLayers: number;
  heads: number;
  /** Classes of distance, each with a bias of its own. */
  distanceBuckets: number;
  /** All distances from here on share a bucket. */
  maxDistance: number;
  normEpsilon: number;
  activation: Activation;
  /** Whether the feed-forward block has a gate, as in version 1.1. */
  gated: boolean;
  /** Whether the head is the transposed embedding table. */
  tiedHead: boolean;
  /** Whether states are multiplied by hiddenSize^-1/2 before the head, as in version 1.0. */
  scaledHead: boolean;
  /** Share that `withDropout` drops: of embeddings, of what blocks add, within the feed-forward, of attention's weights, and of the last states. */
  dropout: number;
  /** Multiplies every deviation of a random initialisation. */
  initializerFactor: number;
  /** What the decoder reads first. */
  startId: number;
  eosIds: number[];
  padId: number;
  /** The `config.json` this came from, kept so that saving loses nothing; empty for a model made here. */
  huggingFace: Record<string, unknown>;
}

/** What `t5Config` must be told; the rest has version 1.0's usual value. */
export type T5Options = Partial<T5Config> &
  Pick<T5Config, "vocabularySize" | "hiddenSize" | "layers" | "heads">;

const positiveSizes = [
  "vocabularySize",
  "hiddenSize",
  "headSize",
  "intermediateSize",
  "layers",
  "decoderLayers",
  "heads",
  "distanceBuckets",
  "maxDistance",
] as const;

function check(config: T5Config): T5Config {
  const what = "T5 config";
  checkSizes(what, config, positiveSizes);
  const { modelType, distanceBuckets, maxDistance, vocabularySize } = config;
  if (modelType !== "t5" && modelType !== "mt5")
    throw new Error(`model type "${modelType}" is no T5 that is supported; supported are t5, mt5.`);
  if (distanceBuckets % 4 !== 0 || distanceBuckets > 65536 || maxDistance <= distanceBuckets / 2)
    throw new RangeError(
      `${what}: distanceBuckets must be a multiple of 4 below twice maxDistance (${maxDistance}), got ${distanceBuckets}`,
    );
  for (const name of ["normEpsilon", "dropout"] as const) checkShare(what, name, config[name]);
  for (const name of ["startId", "padId"] as const) checkId(what, name, config[name], vocabularySize);
  return config;
}

/**
 * Completes and checks a config, with the values usual for version 1.0 where nothing is said.
 *
 * @throws RangeError naming the field that can't be.
 */
export function t5Config(options: T5Options): T5Config {
  const { hiddenSize, heads, layers } = options;
  const padId = options.padId ?? 0;
  const defaults = {
    modelType: "t5",
    headSize: Math.floor(hiddenSize / heads),
    intermediateSize: 4 * hiddenSize,
    decoderLayers: layers,
    distanceBuckets: 32,
    maxDistance: 128,
    normEpsilon: 1e-6,
    activation: options.gated ? ("geluTanh" as const) : ("relu" as const),
    gated: false,
    tiedHead: true,
    scaledHead: options.tiedHead ?? true,
    dropout: 0.1,
    initializerFactor: 1,
    startId: padId,
    eosIds: [1],
    padId,
    huggingFace: {},
  };
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return check({ ...defaults, ...(given as T5Options) });
}

/** Reads a `config.json` of type t5 or mt5. Whether the head is tied shows in the weights; here it is where it is scaled. */
export function t5ConfigFrom(json: Json): T5Config {
  const modelType = stringField(json, "model_type", "");
  const layers = numberField(json, "num_layers", 6);
  const projection = stringField(json, "feed_forward_proj", modelType === "mt5" ? "gated-gelu" : "relu");
  const [first = "", ...rest] = projection.split("-");
  const gated = first === "gated" && rest.length > 0;
  // What the file calls gelu is the approximation in the gated block.
  const named = projection === "gated-gelu" ? "gelu_new" : gated ? rest.join("-") : projection;
  const tied = booleanField(json, "tie_word_embeddings", true);
  const scaledHead = modelType === "t5" && booleanField(json, "scale_decoder_outputs", tied);
  const padId = idField(json, "pad_token_id") ?? 0;
  const eosIds = idsField(json, "eos_token_id");
  return t5Config({
    modelType,
    vocabularySize: numberField(json, "vocab_size", modelType === "mt5" ? 250112 : 32128),
    hiddenSize: numberField(json, "d_model", 512),
    headSize: numberField(json, "d_kv", 64),
    intermediateSize: numberField(json, "d_ff", modelType === "mt5" ? 1024 : 2048),
    layers,
    decoderLayers: numberField(json, "num_decoder_layers", layers),
    heads: numberField(json, "num_heads", modelType === "mt5" ? 6 : 8),
    distanceBuckets: numberField(json, "relative_attention_num_buckets", 32),
    maxDistance: numberField(json, "relative_attention_max_distance", 128),
    normEpsilon: numberField(json, "layer_norm_epsilon", 1e-6),
    activation: activationFrom(named),
    gated,
    tiedHead: scaledHead,
    scaledHead,
    dropout: numberField(json, "dropout_rate", 0.1),
    initializerFactor: numberField(json, "initializer_factor", 1),
    startId: idField(json, "decoder_start_token_id") ?? padId,
    eosIds: eosIds.length > 0 ? eosIds : [1],
    padId,
    huggingFace: json,
  });
}

/** The `config.json` that describes a config. */
export function t5ConfigJson(config: T5Config): Json {
  const activation =
    config.gated && config.activation === "geluTanh" ? "gelu" : activationName(config.activation);
  const { initializer_factor: _, ...raw } = config.huggingFace;
  const factor = config.initializerFactor;
  return {
    ...raw,
    architectures: [
      config.modelType === "mt5" ? "MT5ForConditionalGeneration" : "T5ForConditionalGeneration",
    ],
    model_type: config.modelType,
    is_encoder_decoder: true,
    vocab_size: config.vocabularySize,
    d_model: config.hiddenSize,
    d_kv: config.headSize,
    d_ff: config.intermediateSize,
    num_layers: config.layers,
    num_decoder_layers: config.decoderLayers,
    num_heads: config.heads,
    relative_attention_num_buckets: config.distanceBuckets,
    relative_attention_max_distance: config.maxDistance,
    layer_norm_epsilon: config.normEpsilon,
    dropout_rate: config.dropout,
    feed_forward_proj: config.gated ? `gated-${activation}` : activation,
    // Readers take this for "scaled" and look at the weights for the rest.
    tie_word_embeddings: config.scaledHead,
    scale_decoder_outputs: config.scaledHead,
    // A JSON file made here has no 1.0, and transformers takes 1 for no float; 1 is its default too.
    ...(!Number.isInteger(factor) && { initializer_factor: factor }),
    decoder_start_token_id: config.startId,
    eos_token_id: config.eosIds.length > 1 ? config.eosIds : (config.eosIds[0] ?? null),
    pad_token_id: config.padId,
  };
}
