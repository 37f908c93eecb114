import { countable } from "./diffusers-fields.ts";

/** A U-Net in the layout of diffusers' UNet2DModel: names and sizes are those of its files. */
export interface Unet2dConfig {
  inChannels: number;
  outChannels: number;
  /** Channels of each level, from the full resolution down. */
  blockChannels: readonly number[];
  /** Which levels attend, down and up. */
  downAttention: readonly boolean[];
  /** By level from the lowest resolution up, as in the files. */
  upAttention: readonly boolean[];
  /** Which levels are left by a residual block that resamples (ADM, https://arxiv.org/abs/2105.05233), not by a convolution; in the same orders. */
  downResidual: readonly boolean[];
  upResidual: readonly boolean[];
  layersPerBlock: number;
  normGroups: number;
  normEpsilon: number;
  /** Channels of an attention head; null for one head as wide as its level. */
  headSize: number | null;
  midAttention: boolean;
  /** Groups of the norm before the middle's attention; 0 for no norm. */
  midAttentionGroups: number;
  midScale: number;
  timeEmbedding: "positional" | "fourier";
  flipSinToCos: boolean;
  frequencyShift: number;
  /** Whether the noise embedding scales and shifts the second norm instead of being added. */
  scaleShift: boolean;
  downsamplePadding: number;
  /** x is taken as 2x − 1. */
  centreInput: boolean;
  /** 0 for none. */
  labels: number;
  sampleSize?: number;
}

/** The options that shape a U-Net of one's own. */
export interface Unet2dOptions {
  /** Of the images; default 1. */
  channels?: number;
  /** Of each level, from the full resolution down; default [32, 64, 64]. */
  blockChannels?: readonly number[];
  layersPerBlock?: number;
  /** Default 1. The levels that attend, counted from the lowest resolution up. */
  attentionLevels?: number;
  /** Whether levels are left by residual blocks that resample, as ADM's are; default false: by convolutions. */
  residualResampling?: boolean;
  normGroups?: number;
  /** Channels of an attention head, default 32; null for one head as wide as its level. */
  headSize?: number | null;
  labels?: number;
  sampleSize?: number;
}

/** Settings of a U-Net in DDPM++'s manner (Song et al. 2021, https://arxiv.org/abs/2011.13456, appendix H; EDM's default). */
export function unet2dConfig(options: Unet2dOptions = {}): Unet2dConfig {
  const { channels = 1, blockChannels = [32, 64, 64], attentionLevels = 1 } = options;
  const levels = blockChannels.length;
  const attends = blockChannels.map((_, level) => level >= levels - attentionLevels);
  const resampling = blockChannels.map(
    (_, level) => options.residualResampling === true && level < levels - 1,
  );
  const config: Unet2dConfig = {
    inChannels: channels,
    outChannels: channels,
    blockChannels,
    downAttention: attends,
    upAttention: [...attends].reverse(),
    downResidual: resampling,
    upResidual: resampling,
    layersPerBlock: options.layersPerBlock ?? 1,
    normGroups: options.normGroups ?? 8,
    normEpsilon: 1e-5,
    headSize: options.headSize === undefined ? 32 : options.headSize,
    midAttention: attentionLevels > 0,
    midAttentionGroups: options.normGroups ?? 8,
    midScale: 1,
    timeEmbedding: "positional",
    flipSinToCos: true,
    frequencyShift: 0,
    scaleShift: true,
    downsamplePadding: 1,
    centreInput: false,
    labels: options.labels ?? 0,
    ...(options.sampleSize !== undefined && { sampleSize: options.sampleSize }),
  };
  checkUnet2dConfig(config);
  return config;
}

/** @throws RangeError on sizes that do not fit each other, or beyond reason */
export function checkUnet2dConfig(config: Unet2dConfig): void {
  const { blockChannels, normGroups, headSize, layersPerBlock } = config;
  const levels = blockChannels.length;
  const fail = (what: string): never => {
    throw new RangeError(`unet2d: ${what}.`);
  };
  if (levels < 1 || levels > 16) fail(`${levels} levels; expected 1 to 16`);
  for (const [name, value] of Object.entries({
    inChannels: config.inChannels,
    outChannels: config.outChannels,
    normGroups,
    ...(headSize !== null && { headSize }),
  }))
    if (!countable(value)) fail(`${name} is ${value}, expected a positive integer`);
  if (!countable(layersPerBlock, 64)) fail(`layersPerBlock is ${layersPerBlock}, expected 1 to 64`);
  blockChannels.forEach((channels, level) => {
    if (!countable(channels) || channels % normGroups !== 0)
      fail(`level ${level} has ${channels} channels, which do not split into ${normGroups} groups`);
  });
  const { downAttention, upAttention, downResidual, upResidual } = config;
  if ([downAttention, upAttention, downResidual, upResidual].some(({ length }) => length !== levels))
    fail(`${levels} levels, but ${downAttention.length} blocks down and ${upAttention.length} up`);
  const attending = [
    ...blockChannels.filter((_, i) => config.downAttention[i]),
    ...blockChannels.filter((_, i) => config.upAttention[levels - 1 - i]),
    ...(config.midAttention ? [blockChannels[levels - 1]!] : []),
  ];
  for (const channels of attending)
    if (headSize !== null && channels % headSize !== 0)
      fail(`${channels} channels do not split into heads of ${headSize}`);
  const groups = config.midAttentionGroups;
  if (groups !== 0 && (!countable(groups) || blockChannels[levels - 1]! % groups !== 0))
    fail(`the middle's ${blockChannels[levels - 1]} channels do not split into ${groups} groups`);
  if (blockChannels[0]! % 2 !== 0) fail(`the first level has ${blockChannels[0]} channels, an odd number`);
  if (!(config.normEpsilon > 0)) fail(`normEpsilon is ${config.normEpsilon}`);
  if (!(Number.isSafeInteger(config.labels) && config.labels >= 0 && config.labels <= 1e6))
    fail(`${config.labels} labels`);
}
