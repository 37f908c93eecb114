import { checkShare, checkSizes, perLayer } from "./config-check.ts";

/** The nonlinearity of a feed-forward block: `geluTanh` is Hugging Face's `gelu_new` and `gelu_pytorch_tanh`. */
export type Activation = "silu" | "gelu" | "geluTanh" | "relu";

/** How rotary frequencies are stretched beyond the length a model was trained on. */
export type RopeScaling =
  | { type: "linear"; factor: number }
  | { type: "dynamic"; factor: number }
  | {
      type: "llama3";
      factor: number;
      lowFrequencyFactor: number;
      highFrequencyFactor: number;
      originalMaxPositions: number;
    }
  | {
      type: "yarn";
      factor: number;
      originalMaxPositions: number;
      betaFast: number;
      betaSlow: number;
      /** Multiplies cosines and sines, so that the logits of attention grow by its square. */
      attentionFactor: number;
      /** Whether the bounds of the blended dimensions are rounded to whole ones. */
      truncate: boolean;
    };

/** A causal language model's architecture, under one set of names for every family. */
export interface CausalLmConfig {
  /** Hugging Face's `model_type`: a key of `families`. */
  modelType: string;
  vocabularySize: number;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  /** Key and value heads; fewer than `heads` is grouped-query attention. */
  kvHeads: number;
  headSize: number;
  maxPositions: number;
  normEpsilon: number;
  activation: Activation;
  /** Whether the head is the transposed embedding table. */
  tiedHead: boolean;
  /** Biases of the query, key and value projections. */
  attentionBias: boolean;
  /** Bias of the attention's output projection. */
  attentionOutputBias: boolean;
  mlpBias: boolean;
  ropeTheta: number;
  ropeScaling?: RopeScaling;
  /** How many of each head's dimensions rotate, the first ones; even. */
  rotarySize: number;
  /** One a layer: how many of the latest tokens a token attends to, itself included; 0 means all. */
  slidingWindows: number[];
  /** One a layer: what the attention's logits are multiplied by. */
  attentionScales: number[];
  /** Standard deviation of a random initialisation. */
  initializerRange: number;
  bosId?: number;
  eosIds: number[];
  padId?: number;
  /** The `config.json` this came from, kept so that saving loses nothing; empty for a model made here. */
  huggingFace: Record<string, unknown>;
}

/** What `causalLmConfig` must be told; the rest has the family's usual value. */
export type CausalLmOptions = Partial<CausalLmConfig> &
  Pick<CausalLmConfig, "modelType" | "vocabularySize" | "hiddenSize" | "layers" | "heads">;

const positiveSizes = [
  "vocabularySize",
  "hiddenSize",
  "intermediateSize",
  "layers",
  "heads",
  "kvHeads",
  "headSize",
  "maxPositions",
] as const;

function check(config: CausalLmConfig): CausalLmConfig {
  checkSizes("model config", config, positiveSizes);
  if (config.heads % config.kvHeads !== 0)
    throw new RangeError(
      `model config: heads (${config.heads}) must be a multiple of kvHeads (${config.kvHeads})`,
    );
  if (config.rotarySize % 2 !== 0 || config.rotarySize < 0 || config.rotarySize > config.headSize)
    throw new RangeError(
      `model config: rotarySize must be even and at most headSize (${config.headSize}), got ${config.rotarySize}`,
    );
  checkShare("model config", "normEpsilon", config.normEpsilon);
  if (!(config.ropeTheta > 0 && Number.isFinite(config.ropeTheta)))
    throw new RangeError(`model config: ropeTheta must be positive, got ${config.ropeTheta}`);
  for (const name of ["slidingWindows", "attentionScales"] as const)
    if (config[name].length !== config.layers)
      throw new RangeError(
        `model config: ${name} needs one entry a layer (${config.layers}), got ${config[name].length}`,
      );
  return config;
}

/**
 * Completes and checks a config: `headSize` = hiddenSize / heads, `kvHeads` = heads, attention scaled by headSize^-1/2,
 * and the values usual for GPT-2 (`modelType: "gpt2"`) or Llama (every other type) where nothing is said.
 *
 * @throws RangeError naming the field that can't be.
 */
export function causalLmConfig(options: CausalLmOptions): CausalLmConfig {
  const gpt2 = options.modelType === "gpt2";
  const { hiddenSize, heads, layers } = options;
  const headSize = options.headSize ?? Math.floor(hiddenSize / heads);
  if (options.headSize === undefined && headSize * heads !== hiddenSize)
    throw new RangeError(
      `model config: hiddenSize (${hiddenSize}) must be a multiple of heads (${heads}), or give headSize`,
    );
  const defaults = {
    intermediateSize: 4 * hiddenSize,
    kvHeads: heads,
    headSize,
    maxPositions: gpt2 ? 1024 : 2048,
    normEpsilon: gpt2 ? 1e-5 : 1e-6,
    activation: gpt2 ? ("geluTanh" as const) : ("silu" as const),
    tiedHead: gpt2,
    attentionBias: gpt2 || options.modelType === "qwen2",
    attentionOutputBias: gpt2,
    mlpBias: gpt2,
    ropeTheta: 10000,
    rotarySize: gpt2 ? 0 : headSize,
    slidingWindows: perLayer(layers, () => 0),
    attentionScales: perLayer(layers, () => headSize ** -0.5),
    initializerRange: 0.02,
    eosIds: [],
    huggingFace: {},
  };
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return check({ ...defaults, ...(given as CausalLmOptions) });
}
