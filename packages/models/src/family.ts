import type * as tf from "@tensorflow/tfjs-core";
import type { CausalLm } from "./causal-lm.ts";
import type { CausalLmConfig } from "./config.ts";
import type { Json } from "./json-field.ts";

/** A parameter's shape and how a new model starts it: zeros, ones, or normal with this standard deviation. */
export interface ParameterSpec {
  shape: number[];
  initial: "zeros" | "ones" | { std: number };
}

/** Keys and values of the tokens so far, one pair a layer, each a Variable [rows, capacity, kvHeads·headSize]. */
export interface KeyValueCache {
  keys: tf.Variable[];
  values: tf.Variable[];
  /** Whether no token has been written yet; then attention reads the new keys alone. */
  empty: boolean;
}

export interface ForwardInput {
  /** int32 [rows, length] */
  ids: tf.Tensor;
  /** int32 [rows, length] */
  positions: tf.Tensor;
  /** int32 [rows, 3]: offset, prefixEnd, branchStart */
  layout: tf.Tensor;
  /** One more than the largest position. */
  reach: number;
  /** int32 [n]: the flat states to return, which are all that the last layer computes behind its attention; without it, all. */
  wanted?: tf.Tensor1D;
  cache?: KeyValueCache;
}

/** Where a family keeps the modules of a decoder; those of a layer without its prefix. */
export interface DecoderNames {
  embedding: string;
  /** Learned positions; without them, rotary ones. */
  positionEmbedding?: string;
  norm: string;
  layer(index: number, module: string): string;
  attentionNorm: string;
  /** Queries, keys and values, or one module for all three. */
  projections: readonly string[];
  output: string;
  feedForwardNorm: string;
  gate?: string;
  up: string;
  down: string;
}

/** Everything that sets one architecture apart; a new family is one file and one line in `families`. */
export interface Family {
  /** Reads a `config.json`. @throws naming the key that is missing or wrong. */
  configFrom(json: Json): CausalLmConfig;
  /** The `config.json` that describes a config. */
  configJson(config: CausalLmConfig): Json;
  /** Every parameter by its Hugging Face name; a tied head has none of its own. */
  parameters(config: CausalLmConfig): Map<string, ParameterSpec>;
  /** The full name of a checkpoint's tensor, or undefined for a buffer that is no parameter. */
  canonicalName(name: string): string | undefined;
  /** The final, normalised hidden states [rows·length, hiddenSize], or the wanted ones. */
  hidden(model: CausalLm, input: ForwardInput): tf.Tensor2D;
  /** Name of the head's weight [vocabularySize, hiddenSize]. */
  headName(config: CausalLmConfig): string;
  /** Whether weights are [in, out], as GPT-2's Conv1D keeps them. */
  conv1d: boolean;
  decoderNames: DecoderNames;
  /** Last components of the modules that LoRA adapts by default, as in PEFT. */
  loraTargets: string[];
}
