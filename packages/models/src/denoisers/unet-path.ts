import * as tf from "@tensorflow/tfjs-core";
import {
  type BlockConfig,
  convolve,
  downsample,
  outward,
  residual,
  type Scope,
  upsample,
} from "./unet-blocks.ts";

/** Where a block of attention stands. */
export type Place = "down" | "middle" | "up";

/** What a U-Net's way down and up is shaped by. */
export interface PathConfig extends BlockConfig {
  inChannels: number;
  outChannels: number;
  /** Channels of each level, from the full resolution down. */
  blockChannels: readonly number[];
  layersPerBlock: number;
  downsamplePadding: number;
  /** Levels that are left by a residual block, which halves or doubles the sides on its way, not by a convolution; by level as they come, down and up. Default none. */
  downResidual?: readonly boolean[];
  upResidual?: readonly boolean[];
  /** What the middle's sums are divided by. */
  midScale: number;
}

/** The attention behind a residual block, if there is one there: `level` counts from the start of the way down or up. */
export type Attend<C extends PathConfig> = (
  s: Scope<C>,
  h: tf.Tensor,
  place: Place,
  level: number,
) => tf.Tensor;

export interface Descent {
  /** What the way up takes in, the last one first. */
  skips: tf.Tensor[];
  middle: tf.Tensor;
  /** Of each level and the middle, for discriminator heads. */
  features: tf.Tensor[];
}

/**
 * The way down to the middle.
 *
 * @param embedded the noise embedding after its activation; absent in networks that know no noise
 * @param attend given the scope of the attention's parameters
 */
export function descend<C extends PathConfig>(
  s: Scope<C>,
  x: tf.Tensor,
  embedded: tf.Tensor | undefined,
  attend: Attend<C>,
): Descent {
  const { blockChannels, layersPerBlock, downsamplePadding, downResidual } = s.config;
  let h = convolve(s.under("conv_in"), x);
  const skips = [h];
  const features: tf.Tensor[] = [];
  blockChannels.forEach((_, level) => {
    const block = s.under(`down_blocks.${level}`);
    for (let i = 0; i < layersPerBlock; i++) {
      h = residual(block.under(`resnets.${i}`), h, embedded);
      h = attend(block.under(`attentions.${i}`), h, "down", level);
      skips.push(h);
    }
    features.push(h);
    if (level === blockChannels.length - 1) return;
    h = downResidual?.[level]
      ? residual(block.under("downsamplers.0"), h, embedded, { resample: "half" })
      : downsample(block, h, downsamplePadding);
    skips.push(h);
  });
  const middle = throughMiddle(s, h, embedded, attend);
  return { skips, middle, features: [...features, middle] };
}

/** The middle: two residual blocks and the attention between them. */
export function throughMiddle<C extends PathConfig>(
  s: Scope<C>,
  h: tf.Tensor,
  embedded: tf.Tensor | undefined,
  attend: Attend<C>,
): tf.Tensor {
  const mid = s.under("mid_block");
  const before = residual(mid.under("resnets.0"), h, embedded, { scale: s.config.midScale });
  const attended = attend(mid.under("attentions.0"), before, "middle", 0);
  return residual(mid.under("resnets.1"), attended, embedded, { scale: s.config.midScale });
}

/**
 * The way up from the middle, and out.
 *
 * @param skips taken from; absent in networks that have none
 */
export function ascend<C extends PathConfig>(
  s: Scope<C>,
  middle: tf.Tensor,
  skips: tf.Tensor[] | undefined,
  embedded: tf.Tensor | undefined,
  attend: Attend<C>,
): tf.Tensor {
  const { blockChannels, layersPerBlock, upResidual } = s.config;
  let h = middle;
  blockChannels.forEach((_, level) => {
    const block = s.under(`up_blocks.${level}`);
    for (let i = 0; i <= layersPerBlock; i++) {
      const joined = skips ? tf.concat([h, skips.pop()!], 3) : h;
      h = attend(
        block.under(`attentions.${i}`),
        residual(block.under(`resnets.${i}`), joined, embedded),
        "up",
        level,
      );
    }
    if (level === blockChannels.length - 1) return;
    h = upResidual?.[level]
      ? residual(block.under("upsamplers.0"), h, embedded, { resample: "double" })
      : upsample(block, h);
  });
  return outward(s, h);
}
