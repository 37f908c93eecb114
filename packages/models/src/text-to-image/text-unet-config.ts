import { countable } from "../denoisers/diffusers-fields.ts";
import type { PathConfig } from "../denoisers/unet-path.ts";

/** A U-Net that texts condition, in the layout of diffusers' UNet2DConditionModel as Stable Diffusion 1 and 2 have it. */
export interface TextUnetConfig extends PathConfig {
  /** Which levels attend to pixels and text on the way down; the way up and the middle likewise. */
  downAttention: readonly boolean[];
  /** By level from the lowest resolution up, as in the files. */
  upAttention: readonly boolean[];
  /** Heads of each level's attention, from the full resolution down. */
  heads: readonly number[];
  /** Blocks of self-attention, cross-attention and feed-forward at each place. */
  transformerLayers: number;
  /** Channels of the text's hidden states. */
  textSize: number;
  /** Projections around the transformer are linear layers rather than 1 × 1 convolutions, as in Stable Diffusion 2: the same numbers in another shape. */
  linearProjection: boolean;
  flipSinToCos: boolean;
  frequencyShift: number;
  /** x is taken as 2x − 1. */
  centreInput: boolean;
  sampleSize?: number;
}

/** The options that shape a text-conditional U-Net of one's own; the defaults are Stable Diffusion 1's. */
export interface TextUnetOptions {
  /** Of the latents; default 4. */
  channels?: number;
  /** Of each level, from the full resolution down; default [320, 640, 1280, 1280]. */
  blockChannels?: readonly number[];
  layersPerBlock?: number;
  /** Of the text's hidden states; default 768. */
  textSize?: number;
  /** Heads of attention; default 8. */
  heads?: number;
  normGroups?: number;
  linearProjection?: boolean;
  sampleSize?: number;
}

/** Stable Diffusion 1's settings at given sizes: every level but the lowest attends. */
export function textUnetConfig(options: TextUnetOptions = {}): TextUnetConfig {
  const { channels = 4, blockChannels = [320, 640, 1280, 1280] } = options;
  const attends = blockChannels.map((_, level) => level < blockChannels.length - 1);
  const config: TextUnetConfig = {
    inChannels: channels,
    outChannels: channels,
    blockChannels,
    downAttention: attends,
    upAttention: [...attends].reverse(),
    layersPerBlock: options.layersPerBlock ?? 2,
    heads: blockChannels.map(() => options.heads ?? 8),
    transformerLayers: 1,
    textSize: options.textSize ?? 768,
    linearProjection: options.linearProjection ?? false,
    normGroups: options.normGroups ?? 32,
    normEpsilon: 1e-5,
    midScale: 1,
    flipSinToCos: true,
    frequencyShift: 0,
    scaleShift: false,
    downsamplePadding: 1,
    centreInput: false,
    ...(options.sampleSize !== undefined && { sampleSize: options.sampleSize }),
  };
  checkTextUnetConfig(config);
  return config;
}

/** @throws RangeError on sizes that do not fit each other, or beyond reason */
export function checkTextUnetConfig(config: TextUnetConfig): void {
  const { blockChannels, normGroups, heads, inChannels, outChannels, textSize } = config;
  const levels = blockChannels.length;
  const fail = (what: string): never => {
    throw new RangeError(`textUnet: ${what}.`);
  };
  if (levels < 1 || levels > 16) fail(`${levels} levels; expected 1 to 16`);
  for (const [name, value] of Object.entries({ inChannels, outChannels, normGroups, textSize }))
    if (!countable(value)) fail(`${name} is ${value}, expected a positive integer`);
  for (const name of ["layersPerBlock", "transformerLayers"] as const)
    if (!countable(config[name], 64)) fail(`${name} is ${config[name]}, expected 1 to 64`);
  if (config.downAttention.length !== levels || config.upAttention.length !== levels)
    fail(
      `${levels} levels, but ${config.downAttention.length} blocks down and ${config.upAttention.length} up`,
    );
  if (heads.length !== levels) fail(`${levels} levels, but heads for ${heads.length}`);
  blockChannels.forEach((channels, level) => {
    if (!countable(channels) || channels % normGroups !== 0)
      fail(`level ${level} has ${channels} channels, which do not split into ${normGroups} groups`);
    if (!countable(heads[level]!) || channels % heads[level]! !== 0)
      fail(`level ${level} has ${channels} channels, which do not split into ${heads[level]} heads`);
  });
  if (blockChannels[0]! % 2 !== 0) fail(`the first level has ${blockChannels[0]} channels, an odd number`);
  if (!(config.normEpsilon > 0)) fail(`normEpsilon is ${config.normEpsilon}`);
  if (!(Number.isFinite(config.midScale) && config.midScale !== 0)) fail(`midScale is ${config.midScale}`);
  if (config.downsamplePadding !== 0 && config.downsamplePadding !== 1)
    fail(`downsamplePadding is ${config.downsamplePadding}; only 0 and 1 can be read`);
}
