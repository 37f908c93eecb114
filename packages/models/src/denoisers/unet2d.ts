import { activate, embedding } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { fourierEmbedding } from "./noise-embedding.ts";
import { attendPixels, embedLevel, embedWaves, type Scope, scopeOf } from "./unet-blocks.ts";
import { type Attend, ascend, descend } from "./unet-path.ts";
import type { Unet2dConfig } from "./unet2d-config.ts";

type Named = ReadonlyMap<string, tf.Tensor>;

const attend: Attend<Unet2dConfig> = (s, h, place, level) => {
  const { midScale, midAttention, midAttentionGroups } = s.config;
  const headSize = s.config.headSize ?? h.shape[3]!;
  if (place === "middle")
    return midAttention ? attendPixels(s, h, { headSize, scale: midScale, groups: midAttentionGroups }) : h;
  const attends = place === "down" ? s.config.downAttention : s.config.upAttention;
  return attends[level] ? attendPixels(s, h, { headSize }) : h;
};

/** The embedding of the noise level, and of the label where there are labels; [batch, 4·channels]. */
function embed(s: Scope<Unet2dConfig>, level: tf.Tensor1D, labels: tf.Tensor | undefined): tf.Tensor {
  const { config } = s;
  const time =
    config.timeEmbedding === "fourier"
      ? embedWaves(s, fourierEmbedding(level, s.get("time_proj.weight"), config.flipSinToCos))
      : embedLevel(s, level);
  if (config.labels === 0) {
    if (labels) throw new RangeError("unet2d: labels are given to a model without a label embedding.");
    return time;
  }
  if (!labels) return time;
  const known = tf.cast(tf.greaterEqual(labels, 0), "float32");
  const ids = tf.maximum(labels, tf.scalar(0, "int32")) as tf.Tensor1D;
  return tf.add(time, tf.mul(tf.reshape(known, [-1, 1]), embedding(s.get("class_embedding.weight"), ids)));
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
  const { skips, middle } = descend(s, centred, embedded, attend);
  const out = ascend(s, middle, skips, embedded, attend);
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
  return descend(s, centred, embedded, attend).features;
}
