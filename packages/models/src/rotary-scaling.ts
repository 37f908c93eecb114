import * as tf from "@tensorflow/tfjs-core";
import type { CausalLmConfig, RopeScaling } from "./config.ts";
import { booleanField, type Json, numberField, stringField } from "./json-field.ts";

type Yarn = Extract<RopeScaling, { type: "yarn" }>;
type Llama3 = Extract<RopeScaling, { type: "llama3" }>;

const supported = ["default", "linear", "dynamic", "llama3", "yarn"];

/** YaRN's temperature, 0.1·mscale·ln(factor) + 1 (https://arxiv.org/abs/2309.00071, eq. 22). */
const yarnScale = (factor: number, mscale = 1): number =>
  factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;

function yarnFrom(json: Json, maxPositions: number): Yarn {
  const originalMaxPositions = numberField(json, "original_max_position_embeddings", maxPositions);
  const factor = numberField(json, "factor", maxPositions / originalMaxPositions);
  const mscale = numberField(json, "mscale", 0);
  const mscaleAll = numberField(json, "mscale_all_dim", 0);
  const usual =
    mscale && mscaleAll ? yarnScale(factor, mscale) / yarnScale(factor, mscaleAll) : yarnScale(factor);
  return {
    type: "yarn",
    factor,
    originalMaxPositions,
    betaFast: numberField(json, "beta_fast", 32) || 32,
    betaSlow: numberField(json, "beta_slow", 1) || 1,
    attentionFactor: numberField(json, "attention_factor", usual),
    truncate: booleanField(json, "truncate", true),
  };
}

/**
 * The scaling that a `config.json` asks for in `rope_scaling` or `rope_parameters`.
 *
 * @throws when its kind is unknown or a number is missing.
 */
export function ropeScalingFrom(json: Json, maxPositions: number): RopeScaling | undefined {
  const type = stringField(json, "rope_type", stringField(json, "type", "default"));
  if (type === "default") return undefined;
  if (type === "yarn") return yarnFrom(json, maxPositions);
  if (type === "linear" || type === "dynamic") return { type, factor: numberField(json, "factor") };
  if (type === "llama3")
    return {
      type,
      factor: numberField(json, "factor"),
      lowFrequencyFactor: numberField(json, "low_freq_factor"),
      highFrequencyFactor: numberField(json, "high_freq_factor"),
      originalMaxPositions: numberField(json, "original_max_position_embeddings", maxPositions),
    };
  throw new Error(
    `config.json: rotary scaling "${type}" is not supported; supported are ${supported.join(", ")}.`,
  );
}

/** The `rope_scaling` entry of a `config.json`. */
export function ropeScalingJson(scaling: RopeScaling): Json {
  if (scaling.type === "linear" || scaling.type === "dynamic")
    return { rope_type: scaling.type, factor: scaling.factor };
  const shared = {
    rope_type: scaling.type,
    factor: scaling.factor,
    original_max_position_embeddings: scaling.originalMaxPositions,
  };
  if (scaling.type === "llama3")
    return {
      ...shared,
      low_freq_factor: scaling.lowFrequencyFactor,
      high_freq_factor: scaling.highFrequencyFactor,
    };
  return {
    ...shared,
    beta_fast: scaling.betaFast,
    beta_slow: scaling.betaSlow,
    attention_factor: scaling.attentionFactor,
    truncate: scaling.truncate,
  };
}

/** Llama 3.1's rule: long wavelengths are stretched, short ones kept, those between blended. */
function llama3Frequency(frequency: number, scaling: Llama3): number {
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalMaxPositions } = scaling;
  const turns = (originalMaxPositions * frequency) / (2 * Math.PI);
  if (turns > high) return frequency;
  if (turns < low) return frequency / factor;
  const smooth = (turns - low) / (high - low);
  return ((1 - smooth) * frequency) / factor + smooth * frequency;
}

/** How much of each dimension YaRN stretches, in [0, 1] (https://arxiv.org/abs/2309.00071, eq. 18 to 20). */
function yarnStretch(scaling: Yarn, size: number, theta: number): (dimension: number) => number {
  const dimensionOf = (turns: number): number =>
    (size * Math.log(scaling.originalMaxPositions / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const fast = dimensionOf(scaling.betaFast);
  const slow = dimensionOf(scaling.betaSlow);
  const from = Math.max(scaling.truncate ? Math.floor(fast) : fast, 0);
  const to = Math.min(scaling.truncate ? Math.ceil(slow) : slow, size - 1);
  const width = to === from ? 0.001 : to - from;
  return (dimension) => Math.min(1, Math.max(0, (dimension - from) / width));
}

/**
 * The angle that each pair of rotary dimensions turns per position [rotarySize / 2], scaled as the config says.
 *
 * @param length how many positions are in use; only `dynamic` scaling depends on it
 */
export function rotaryFrequencies(config: CausalLmConfig, length: number): Float64Array {
  const { rotarySize: size, ropeScaling: scaling, maxPositions } = config;
  let theta = config.ropeTheta;
  if (scaling?.type === "dynamic" && length > maxPositions) {
    const stretch = (scaling.factor * length) / maxPositions - (scaling.factor - 1);
    theta *= stretch ** (size / (size - 2));
  }
  const stretched = scaling?.type === "yarn" ? yarnStretch(scaling, size, theta) : () => 0;
  return Float64Array.from({ length: size / 2 }, (_, i) => {
    const frequency = theta ** ((-2 * i) / size);
    if (scaling?.type === "linear") return frequency / scaling.factor;
    if (scaling?.type === "llama3") return llama3Frequency(frequency, scaling);
    if (scaling?.type === "yarn") {
      const share = stretched(i);
      return (frequency / scaling.factor) * share + frequency * (1 - share);
    }
    return frequency;
  });
}

export interface RotaryTables {
  /** [positions, rotarySize / 2] */
  cos: tf.Tensor2D;
  sin: tf.Tensor2D;
}

/** Cosines and sines of the first `positions` positions; rounded where Hugging Face's float32 rounds. */
export function rotaryTables(config: CausalLmConfig, positions: number, length = positions): RotaryTables {
  const frequencies = rotaryFrequencies(config, length);
  const half = frequencies.length;
  const scale = config.ropeScaling?.type === "yarn" ? config.ropeScaling.attentionFactor : 1;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let position = 0; position < positions; position++)
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(Math.fround(frequencies[i]!) * position);
      cos[position * half + i] = scale * Math.cos(angle);
      sin[position * half + i] = scale * Math.sin(angle);
    }
  return { cos: tf.tensor2d(cos, [positions, half]), sin: tf.tensor2d(sin, [positions, half]) };
}
