import { activate, attention, conv2d, embedding, groupNorm, linear, upsample2x } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { InitialParameter } from "./initialise.ts";
import { fourierEmbedding, sinusoidalEmbedding } from "./noise-embedding.ts";
import type { Unet2dConfig } from "./unet2d-config.ts";

type Named = ReadonlyMap<string, tf.Tensor>;

/** Parameters under a prefix, and what every block needs. */
interface Scope {
  config: Unet2dConfig;
  get(name: string): tf.Tensor;
  has(name: string): boolean;
  under(prefix: string): Scope;
}

function scopeOf(parameters: Named, config: Unet2dConfig, prefix = ""): Scope {
  return {
    config,
    has: (name) => parameters.has(prefix + name),
    get(name) {
      const found = parameters.get(prefix + name);
      if (!found) throw new Error(`unet2d: there is no parameter ${prefix}${name}.`);
      return found;
    },
    under: (name) => scopeOf(parameters, config, `${prefix}${name}.`),
  };
}

const convolve = (s: Scope, x: tf.Tensor, padding = 1, stride = 1): tf.Tensor =>
  conv2d(x, s.get("weight"), { bias: s.get("bias"), stride, padding });

const dense = (s: Scope, x: tf.Tensor, activation: "none" | "silu" = "none"): tf.Tensor =>
  linear(x, s.get("weight"), { bias: s.get("bias"), activation });

function normalise(s: Scope, x: tf.Tensor, groups = s.config.normGroups): tf.Tensor {
  return groupNorm(x, s.get("weight"), s.get("bias"), { groups, epsilon: s.config.normEpsilon });
}

/** Two convolutions with the noise embedding between them, beside a shortcut. */
function residual(s: Scope, x: tf.Tensor, embedded: tf.Tensor, scale = 1): tf.Tensor {
  return tf.tidy(() => {
    const first = convolve(s.under("conv1"), activate(normalise(s.under("norm1"), x), "silu"));
    const told = dense(s.under("time_emb_proj"), embedded);
    const [batch, , , channels] = first.shape as [number, number, number, number];
    const perChannel = (values: tf.Tensor) => tf.reshape(values, [batch, 1, 1, channels]);
    let h: tf.Tensor;
    if (s.config.scaleShift) {
      const [factor, shift] = tf.split(told, 2, 1);
      const normal = normalise(s.under("norm2"), first);
      h = tf.add(tf.mul(normal, tf.add(1, perChannel(factor!))), perChannel(shift!));
    } else h = normalise(s.under("norm2"), tf.add(first, perChannel(told)));
    const second = convolve(s.under("conv2"), activate(h, "silu"));
    const shortcut = s.has("conv_shortcut.weight") ? convolve(s.under("conv_shortcut"), x, 0) : x;
    const sum = tf.add(shortcut, second);
    return scale === 1 ? sum : tf.div(sum, scale);
  });
}

/** Self-attention of all pixels, residual. */
function attend(s: Scope, x: tf.Tensor, scale = 1, groups = s.config.normGroups): tf.Tensor {
  return tf.tidy(() => {
    const [batch, height, width, channels] = x.shape as [number, number, number, number];
    const pixels = height * width;
    const even = groups === 0 ? x : normalise(s.under("group_norm"), x, groups);
    const normal = tf.reshape(even, [batch, pixels, channels]);
    const [q, k, v] = ["to_q", "to_k", "to_v"].map((name) => dense(s.under(name), normal));
    // An offset beyond the last pixel lets every query see every key.
    const layout = tf.tile(tf.tensor2d([[pixels, 0, 2 ** 31 - 1]], [1, 3], "int32"), [batch, 1]);
    const heads = channels / s.config.headSize;
    const mixed = attention(q!, k!, v!, layout, { heads, kvHeads: heads });
    const out = tf.add(tf.reshape(dense(s.under("to_out.0"), mixed), x.shape), x);
    return scale === 1 ? out : tf.div(out, scale);
  });
}

/** The embedding of the noise level, and of the label where there are labels; [batch, 4·channels]. */
function embed(s: Scope, level: tf.Tensor1D, labels: tf.Tensor | undefined): tf.Tensor {
  const { config } = s;
  const wave =
    config.timeEmbedding === "fourier"
      ? fourierEmbedding(level, s.get("time_proj.weight"), config.flipSinToCos)
      : sinusoidalEmbedding(level, config.blockChannels[0]!, {
          flip: config.flipSinToCos,
          frequencyShift: config.frequencyShift,
        });
  const time = dense(
    s.under("time_embedding.linear_2"),
    dense(s.under("time_embedding.linear_1"), wave, "silu"),
  );
  if (config.labels === 0) {
    if (labels) throw new RangeError("unet2d: labels are given to a model without a label embedding.");
    return time;
  }
  if (!labels) return time;
  const known = tf.cast(tf.greaterEqual(labels, 0), "float32");
  const ids = tf.maximum(labels, tf.scalar(0, "int32")) as tf.Tensor1D;
  return tf.add(time, tf.mul(tf.reshape(known, [-1, 1]), embedding(s.get("class_embedding.weight"), ids)));
}

/** Levels down to the middle; with what the way up needs. */
function encode(
  s: Scope,
  x: tf.Tensor,
  embedded: tf.Tensor,
): { skips: tf.Tensor[]; middle: tf.Tensor; features: tf.Tensor[] } {
  const { config } = s;
  let h = convolve(s.under("conv_in"), x);
  const skips = [h];
  const features: tf.Tensor[] = [];
  config.blockChannels.forEach((_, level) => {
    const block = s.under(`down_blocks.${level}`);
    for (let i = 0; i < config.layersPerBlock; i++) {
      h = residual(block.under(`resnets.${i}`), h, embedded);
      if (config.downAttention[level]) h = attend(block.under(`attentions.${i}`), h);
      skips.push(h);
    }
    features.push(h);
    if (level === config.blockChannels.length - 1) return;
    const down = block.under("downsamplers.0.conv");
    h = conv2d(h, down.get("weight"), {
      bias: down.get("bias"),
      stride: 2,
      padding: config.downsamplePadding === 0 ? [0, 1, 0, 1] : config.downsamplePadding,
    });
    skips.push(h);
  });
  const mid = s.under("mid_block");
  h = residual(mid.under("resnets.0"), h, embedded, config.midScale);
  if (config.midAttention)
    h = attend(mid.under("attentions.0"), h, config.midScale, config.midAttentionGroups);
  h = residual(mid.under("resnets.1"), h, embedded, config.midScale);
  return { skips, middle: h, features: [...features, h] };
}

function decode(s: Scope, from: tf.Tensor, skips: tf.Tensor[], embedded: tf.Tensor): tf.Tensor {
  const { config } = s;
  let h = from;
  config.blockChannels.forEach((_, level) => {
    const block = s.under(`up_blocks.${level}`);
    for (let i = 0; i <= config.layersPerBlock; i++) {
      h = residual(block.under(`resnets.${i}`), tf.concat([h, skips.pop()!], 3), embedded);
      if (config.upAttention[level]) h = attend(block.under(`attentions.${i}`), h);
    }
    if (level < config.blockChannels.length - 1)
      h = convolve(block.under("upsamplers.0.conv"), upsample2x(h));
  });
  return convolve(s.under("conv_out"), activate(normalise(s.under("conv_norm_out"), h), "silu"));
}

function checkInput(config: Unet2dConfig, x: tf.Tensor): void {
  const divisor = 2 ** (config.blockChannels.length - 1);
  const [, height, width, channels] = x.shape;
  if (x.rank !== 4 || channels !== config.inChannels || height! % divisor !== 0 || width! % divisor !== 0)
    throw new RangeError(
      `unet2d: x has shape [${x.shape}], expected [batch, height, width, ${config.inChannels}] with sides that are multiples of ${divisor}.`,
    );
}

function start(
  parameters: Named,
  config: Unet2dConfig,
  x: tf.Tensor,
  level: tf.Tensor1D,
  labels?: tf.Tensor,
) {
  checkInput(config, x);
  const s = scopeOf(parameters, config);
  // Every block begins with the activation of the embedding: once is enough.
  const embedded = activate(embed(s, level, labels), "silu");
  return { s, embedded, centred: config.centreInput ? tf.sub(tf.mul(2, x), 1) : x };
}

/**
 * The U-Net of diffusers' UNet2DModel on images [batch, height, width, channels]: residual blocks of group norm, SiLU and 3 × 3 convolutions, attention at the levels asked.
 *
 * @param level the timestep or c_noise, [batch]
 * @param labels int32 [batch], −1 for none
 * @throws RangeError when x or labels do not fit
 */
export function unet2d(
  parameters: Named,
  config: Unet2dConfig,
  x: tf.Tensor,
  level: tf.Tensor1D,
  labels?: tf.Tensor,
): tf.Tensor {
  const { s, embedded, centred } = start(parameters, config, x, level, labels);
  const { skips, middle } = encode(s, centred, embedded);
  const out = decode(s, middle, skips, embedded);
  return config.timeEmbedding === "fourier" ? tf.div(out, tf.reshape(level, [-1, 1, 1, 1])) : out;
}

/** The features of the way down and the middle alone, [batch, h, w, channels] each: what discriminator heads read. */
export function unet2dFeatures(
  parameters: Named,
  config: Unet2dConfig,
  x: tf.Tensor,
  level: tf.Tensor1D,
  labels?: tf.Tensor,
): tf.Tensor[] {
  const { s, embedded, centred } = start(parameters, config, x, level, labels);
  return encode(s, centred, embedded).features;
}

/** Every parameter's shape and start, by diffusers' names. */
export function unet2dParameters(config: Unet2dConfig): Map<string, InitialParameter> {
  const specs = new Map<string, InitialParameter>();
  const { blockChannels, layersPerBlock, labels } = config;
  const width = blockChannels[0]!;
  const inner = 4 * width;
  const affine = (name: string, shape: number[], gain = 1) => {
    specs.set(`${name}.weight`, { shape, start: gain === 0 ? "zeros" : { gain } });
    specs.set(`${name}.bias`, { shape: [shape[0]!], start: "zeros" });
  };
  const norm = (name: string, channels: number) => {
    specs.set(`${name}.weight`, { shape: [channels], start: "ones" });
    specs.set(`${name}.bias`, { shape: [channels], start: "zeros" });
  };
  const resnet = (name: string, from: number, to: number) => {
    norm(`${name}.norm1`, from);
    affine(`${name}.conv1`, [to, from, 3, 3]);
    affine(`${name}.time_emb_proj`, [config.scaleShift ? 2 * to : to, inner]);
    norm(`${name}.norm2`, to);
    // Nearly nothing at first, so that a deep net starts as a shallow one.
    affine(`${name}.conv2`, [to, to, 3, 3], 1e-3);
    if (from !== to) affine(`${name}.conv_shortcut`, [to, from, 1, 1]);
  };
  const attention = (name: string, channels: number, groups = config.normGroups) => {
    if (groups > 0) norm(`${name}.group_norm`, channels);
    for (const part of ["to_q", "to_k", "to_v"]) affine(`${name}.${part}`, [channels, channels]);
    affine(`${name}.to_out.0`, [channels, channels], 1e-3);
  };
  affine("conv_in", [width, config.inChannels, 3, 3]);
  if (config.timeEmbedding === "fourier")
    specs.set("time_proj.weight", { shape: [width], start: { gain: 16 } });
  affine("time_embedding.linear_1", [inner, config.timeEmbedding === "fourier" ? 2 * width : width]);
  affine("time_embedding.linear_2", [inner, inner]);
  if (labels > 0)
    specs.set("class_embedding.weight", { shape: [labels, inner], start: { gain: Math.sqrt(inner) } });
  const skips = [width];
  let channels = width;
  blockChannels.forEach((to, level) => {
    const name = `down_blocks.${level}`;
    for (let i = 0; i < layersPerBlock; i++) {
      resnet(`${name}.resnets.${i}`, channels, to);
      if (config.downAttention[level]) attention(`${name}.attentions.${i}`, to);
      channels = to;
      skips.push(to);
    }
    if (level === blockChannels.length - 1) return;
    affine(`${name}.downsamplers.0.conv`, [to, to, 3, 3]);
    skips.push(to);
  });
  resnet("mid_block.resnets.0", channels, channels);
  if (config.midAttention) attention("mid_block.attentions.0", channels, config.midAttentionGroups);
  resnet("mid_block.resnets.1", channels, channels);
  [...blockChannels].reverse().forEach((to, level) => {
    const name = `up_blocks.${level}`;
    for (let i = 0; i <= layersPerBlock; i++) {
      resnet(`${name}.resnets.${i}`, channels + skips.pop()!, to);
      if (config.upAttention[level]) attention(`${name}.attentions.${i}`, to);
      channels = to;
    }
    if (level < blockChannels.length - 1) affine(`${name}.upsamplers.0.conv`, [to, to, 3, 3]);
  });
  norm("conv_norm_out", width);
  affine("conv_out", [config.outChannels, width, 3, 3], 1e-3);
  return specs;
}
