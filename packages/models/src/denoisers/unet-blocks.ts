import { type Activation, add, attention, conv2d, groupNorm, linear, upsample2x } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { noBranch } from "../token-rows.ts";
import { sinusoidalEmbedding } from "./noise-embedding.ts";

/** What every block of diffusers' image networks needs to know. */
export interface BlockConfig {
  normGroups: number;
  normEpsilon: number;
  /** Whether the noise embedding scales and shifts the second norm instead of being added. */
  scaleShift: boolean;
}

/** Parameters under a prefix, and the network's configuration. */
export interface Scope<C extends BlockConfig = BlockConfig> {
  config: C;
  get(name: string): tf.Tensor;
  has(name: string): boolean;
  under(prefix: string): Scope<C>;
}

export function scopeOf<C extends BlockConfig>(
  parameters: ReadonlyMap<string, tf.Tensor>,
  config: C,
  prefix = "",
): Scope<C> {
  return {
    config,
    has: (name) => parameters.has(prefix + name),
    get(name) {
      const found = parameters.get(prefix + name);
      if (!found) throw new Error(`there is no parameter ${prefix}${name}.`);
      return found;
    },
    under: (name) => scopeOf(parameters, config, `${prefix}${name}.`),
  };
}

export const convolve = (s: Scope, x: tf.Tensor, padding = 1): tf.Tensor =>
  conv2d(x, s.get("weight"), { bias: s.get("bias"), padding });

export const dense = (s: Scope, x: tf.Tensor, activation: "none" | "silu" = "none"): tf.Tensor =>
  linear(x, s.get("weight"), { ...(s.has("bias") && { bias: s.get("bias") }), activation });

export interface NormOptions {
  groups?: number;
  epsilon?: number;
  /** Of what comes out. */
  activation?: Activation;
  /** Scale and shift of an embedding, [batch, channels] each: y·(1 + scale) + shift before the activation. */
  told?: readonly [scale: tf.Tensor, shift: tf.Tensor];
}

export function normalise(
  s: Scope,
  x: tf.Tensor,
  { groups = s.config.normGroups, epsilon = s.config.normEpsilon, activation, told }: NormOptions = {},
): tf.Tensor {
  let [weight, bias] = [s.get("weight"), s.get("bias")];
  if (told) {
    // The norm's own numbers take in the embedding's, so that pixels are passed over once.
    const factor = tf.add(1, told[0]);
    [weight, bias] = [tf.mul(factor, weight), tf.add(tf.mul(factor, bias), told[1])];
  }
  return groupNorm(x, weight, bias, { groups, epsilon, ...(activation && { activation }) });
}

/** Two dense layers over the waves of a noise level, [batch, 4·channels]. */
export const embedWaves = (s: Scope, wave: tf.Tensor): tf.Tensor =>
  dense(s.under("time_embedding.linear_2"), dense(s.under("time_embedding.linear_1"), wave, "silu"));

/** The same of the sinusoids of a noise level. */
export const embedLevel = (
  s: Scope<BlockConfig & { blockChannels: readonly number[]; flipSinToCos: boolean; frequencyShift: number }>,
  level: tf.Tensor1D,
): tf.Tensor => {
  const { blockChannels, flipSinToCos: flip, frequencyShift } = s.config;
  return embedWaves(s, sinusoidalEmbedding(level, blockChannels[0]!, { flip, frequencyShift }));
};

/** Half the height and width: the mean of four pixels. Its gradient is that of kernels which every backend has. */
const average2x = (x: tf.Tensor): tf.Tensor =>
  tf.customGrad((given) => ({
    value: tf.avgPool(given as tf.Tensor4D, 2, 2, "valid"),
    gradFunc: (dy: tf.Tensor) => tf.mul(0.25, upsample2x(dy)),
  }))(x);

/** Half the height and width, by a convolution of stride 2. */
export function downsample(s: Scope, x: tf.Tensor, padding: number): tf.Tensor {
  const conv = s.under("downsamplers.0.conv");
  return conv2d(x, conv.get("weight"), {
    bias: conv.get("bias"),
    stride: 2,
    padding: padding === 0 ? [0, 1, 0, 1] : padding,
  });
}

/** Twice the height and width: nearest neighbours, then a convolution. */
export const upsample = (s: Scope, x: tf.Tensor): tf.Tensor =>
  convolve(s.under("upsamplers.0.conv"), upsample2x(x));

/** The last norm, SiLU and convolution. */
export const outward = (s: Scope, x: tf.Tensor): tf.Tensor =>
  convolve(s.under("conv_out"), normalise(s.under("conv_norm_out"), x, { activation: "silu" }));

/** The second norm of h, told the noise embedding if there is one: by scale and shift, or by what is added before. */
function normaliseTold(s: Scope, h: tf.Tensor, embedded: tf.Tensor | undefined): tf.Tensor {
  const [norm, activation] = [s.under("norm2"), "silu"] as const;
  if (!embedded) return normalise(norm, h, { activation });
  const told = dense(s.under("time_emb_proj"), embedded);
  if (!s.config.scaleShift) {
    const perChannel = tf.reshape(told, [h.shape[0]!, 1, 1, h.shape[3]!]);
    return normalise(norm, tf.add(h, perChannel), { activation });
  }
  const [scale, shift] = tf.split(told, 2, 1);
  return normalise(norm, h, { activation, told: [scale!, shift!] });
}

/**
 * Two convolutions beside a shortcut, with the noise embedding between them where there is one.
 *
 * @param embedded after its activation, [batch, size]
 * @param options.scale what the sum is divided by; default 1
 * @param options.resample halves or doubles height and width, before the first convolution and in the shortcut
 */
export function residual(
  s: Scope,
  x: tf.Tensor,
  embedded?: tf.Tensor,
  { scale = 1, resample }: { scale?: number; resample?: "half" | "double" } = {},
): tf.Tensor {
  return tf.tidy(() => {
    const resampled = (h: tf.Tensor) =>
      resample === undefined ? h : resample === "half" ? average2x(h) : upsample2x(h);
    const active = normalise(s.under("norm1"), x, { activation: "silu" });
    const first = convolve(s.under("conv1"), resampled(active));
    const second = convolve(s.under("conv2"), normaliseTold(s, first, embedded));
    const past = resampled(x);
    const shortcut = s.has("conv_shortcut.weight") ? convolve(s.under("conv_shortcut"), past, 0) : past;
    const sum = add(shortcut, second);
    return scale === 1 ? sum : tf.div(sum, scale);
  });
}

/** A layout of attention by which every query sees every key. */
export const allKeys = (batch: number, keys: number): tf.Tensor =>
  // An offset beyond the last key.
  tf.tile(tf.tensor2d([[keys, 0, noBranch]], [1, 3], "int32"), [batch, 1]);

export interface PixelAttentionOptions {
  /** Channels of a head. */
  headSize: number;
  /** What the sum is divided by; default 1. */
  scale?: number;
  /** Of the norm before; 0 for none, default the network's. */
  groups?: number;
}

/** Self-attention of all pixels, residual. */
export function attendPixels(
  s: Scope,
  x: tf.Tensor,
  { headSize, scale = 1, groups = s.config.normGroups }: PixelAttentionOptions,
): tf.Tensor {
  return tf.tidy(() => {
    const [batch, height, width, channels] = x.shape as [number, number, number, number];
    const pixels = height * width;
    const even = groups === 0 ? x : normalise(s.under("group_norm"), x, { groups });
    const normal = tf.reshape(even, [batch, pixels, channels]);
    const [q, k, v] = ["to_q", "to_k", "to_v"].map((name) => dense(s.under(name), normal));
    const heads = channels / headSize;
    const mixed = attention(q!, k!, v!, allKeys(batch, pixels), { heads, kvHeads: heads });
    const out = add(tf.reshape(dense(s.under("to_out.0"), mixed), x.shape), x);
    return scale === 1 ? out : tf.div(out, scale);
  });
}
