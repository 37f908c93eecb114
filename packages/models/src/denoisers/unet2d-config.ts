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
  layersPerBlock: number;
  normGroups: number;
  normEpsilon: number;
  /** Channels of an attention head. */
  headSize: number;
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
  normGroups?: number;
  headSize?: number;
  labels?: number;
  sampleSize?: number;
}

/** Settings of a U-Net in DDPM++'s manner (Song et al. 2021, https://arxiv.org/abs/2011.13456, appendix H; EDM's default). */
export function unet2dConfig(options: Unet2dOptions = {}): Unet2dConfig {
  const { channels = 1, blockChannels = [32, 64, 64], attentionLevels = 1 } = options;
  const levels = blockChannels.length;
  const attends = blockChannels.map((_, level) => level >= levels - attentionLevels);
  const config: Unet2dConfig = {
    inChannels: channels,
    outChannels: channels,
    blockChannels,
    downAttention: attends,
    upAttention: [...attends].reverse(),
    layersPerBlock: options.layersPerBlock ?? 1,
    normGroups: options.normGroups ?? 8,
    normEpsilon: 1e-5,
    headSize: options.headSize ?? 32,
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

const countable = (value: number, max = 65_536): boolean =>
  Number.isSafeInteger(value) && value >= 1 && value <= max;

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
    headSize,
  }))
    if (!countable(value)) fail(`${name} is ${value}, expected a positive integer`);
  if (!countable(layersPerBlock, 64)) fail(`layersPerBlock is ${layersPerBlock}, expected 1 to 64`);
  blockChannels.forEach((channels, level) => {
    if (!countable(channels) || channels % normGroups !== 0)
      fail(`level ${level} has ${channels} channels, which do not split into ${normGroups} groups`);
  });
  if (config.downAttention.length !== levels || config.upAttention.length !== levels)
    fail(
      `${levels} levels, but ${config.downAttention.length} blocks down and ${config.upAttention.length} up`,
    );
  const attending = [
    ...blockChannels.filter((_, i) => config.downAttention[i]),
    ...blockChannels.filter((_, i) => config.upAttention[levels - 1 - i]),
    ...(config.midAttention ? [blockChannels[levels - 1]!] : []),
  ];
  for (const channels of attending)
    if (channels % headSize !== 0) fail(`${channels} channels do not split into heads of ${headSize}`);
  const groups = config.midAttentionGroups;
  if (groups !== 0 && (!countable(groups) || blockChannels[levels - 1]! % groups !== 0))
    fail(`the middle's ${blockChannels[levels - 1]} channels do not split into ${groups} groups`);
  if (blockChannels[0]! % 2 !== 0) fail(`the first level has ${blockChannels[0]} channels, an odd number`);
  if (!(config.normEpsilon > 0)) fail(`normEpsilon is ${config.normEpsilon}`);
  if (!(Number.isSafeInteger(config.labels) && config.labels >= 0 && config.labels <= 1e6))
    fail(`${config.labels} labels`);
}

type Json = Record<string, unknown>;

/** What there is no forward pass for; each is refused by name, none ignored. */
const supported: Record<string, readonly unknown[]> = {
  downsample_type: ["conv", undefined],
  upsample_type: ["conv", undefined],
  act_fn: ["silu", "swish", undefined],
  class_embed_type: [null, undefined],
  mid_block_type: ["UNetMidBlock2D", undefined],
  resnet_time_scale_shift: ["default", "scale_shift", undefined],
  time_embedding_type: ["positional", "fourier", undefined],
  time_embedding_dim: [null, undefined],
  num_train_timesteps: [null, undefined],
};

function blocks(json: Json, field: string, plain: string, attending: string, fallback: string[]): boolean[] {
  const names = json[field] ?? fallback;
  if (!Array.isArray(names)) throw new RangeError(`UNet2DModel config: ${field} is no list.`);
  return names.map((name) => {
    if (name === plain) return false;
    if (name === attending) return true;
    throw new RangeError(
      `UNet2DModel config: ${field} has "${name}"; only ${plain} and ${attending} are there.`,
    );
  });
}

/**
 * Reads the config.json of a diffusers UNet2DModel.
 *
 * @throws RangeError on what this U-Net does not do, by name
 */
export function unet2dConfigFromDiffusers(json: Json): Unet2dConfig {
  if (json._class_name !== undefined && json._class_name !== "UNet2DModel")
    throw new RangeError(`config.json is of a ${String(json._class_name)}; only UNet2DModel can be read.`);
  for (const [field, values] of Object.entries(supported))
    if (!values.includes(json[field]))
      throw new RangeError(
        `UNet2DModel config: ${field} is ${JSON.stringify(json[field])}; only ${values
          .filter((v) => v !== undefined)
          .map((v) => JSON.stringify(v))
          .join(" and ")} can be read.`,
      );
  const number = (field: string, fallback: number): number => {
    const value = json[field] ?? fallback;
    if (typeof value !== "number")
      throw new RangeError(`UNet2DModel config: ${field} is ${JSON.stringify(value)}, expected a number.`);
    return value;
  };
  const channels = (json.block_out_channels ?? [224, 448, 672, 896]) as number[];
  if (!Array.isArray(channels)) throw new RangeError("UNet2DModel config: block_out_channels is no list.");
  const headSize = json.attention_head_dim === null ? Number.NaN : number("attention_head_dim", 8);
  const sampleSize = json.sample_size;
  const config: Unet2dConfig = {
    inChannels: number("in_channels", 3),
    outChannels: number("out_channels", 3),
    blockChannels: channels,
    downAttention: blocks(json, "down_block_types", "DownBlock2D", "AttnDownBlock2D", [
      "DownBlock2D",
      "AttnDownBlock2D",
      "AttnDownBlock2D",
      "AttnDownBlock2D",
    ]),
    upAttention: blocks(json, "up_block_types", "UpBlock2D", "AttnUpBlock2D", [
      "AttnUpBlock2D",
      "AttnUpBlock2D",
      "AttnUpBlock2D",
      "UpBlock2D",
    ]),
    layersPerBlock: number("layers_per_block", 2),
    normGroups: number("norm_num_groups", 32),
    normEpsilon: number("norm_eps", 1e-5),
    headSize,
    midAttention: (json.add_attention ?? true) === true,
    // Without a setting of its own, a model with scale and shift has no norm there.
    midAttentionGroups:
      typeof json.attn_norm_num_groups === "number"
        ? json.attn_norm_num_groups
        : json.resnet_time_scale_shift === "scale_shift"
          ? 0
          : number("norm_num_groups", 32),
    midScale: number("mid_block_scale_factor", 1),
    timeEmbedding: json.time_embedding_type === "fourier" ? "fourier" : "positional",
    flipSinToCos: (json.flip_sin_to_cos ?? true) === true,
    frequencyShift: number("freq_shift", 0),
    scaleShift: json.resnet_time_scale_shift === "scale_shift",
    downsamplePadding: number("downsample_padding", 1),
    centreInput: json.center_input_sample === true,
    labels:
      json.num_class_embeds === null || json.num_class_embeds === undefined
        ? 0
        : number("num_class_embeds", 0),
    ...(typeof sampleSize === "number" && { sampleSize }),
  };
  checkUnet2dConfig(config);
  if (config.downsamplePadding !== 0 && config.downsamplePadding !== 1)
    throw new RangeError(
      `UNet2DModel config: downsample_padding is ${config.downsamplePadding}; only 0 and 1 can be read.`,
    );
  return config;
}

/** The same as diffusers writes it. */
export function diffusersConfig(config: Unet2dConfig): Json {
  return {
    _class_name: "UNet2DModel",
    act_fn: "silu",
    add_attention: config.midAttention,
    attention_head_dim: config.headSize,
    attn_norm_num_groups: config.midAttentionGroups === 0 ? null : config.midAttentionGroups,
    block_out_channels: [...config.blockChannels],
    center_input_sample: config.centreInput,
    class_embed_type: null,
    down_block_types: config.downAttention.map((attends) => (attends ? "AttnDownBlock2D" : "DownBlock2D")),
    downsample_padding: config.downsamplePadding,
    downsample_type: "conv",
    dropout: 0,
    flip_sin_to_cos: config.flipSinToCos,
    freq_shift: config.frequencyShift,
    in_channels: config.inChannels,
    layers_per_block: config.layersPerBlock,
    mid_block_scale_factor: config.midScale,
    norm_eps: config.normEpsilon,
    norm_num_groups: config.normGroups,
    num_class_embeds: config.labels === 0 ? null : config.labels,
    out_channels: config.outChannels,
    resnet_time_scale_shift: config.scaleShift ? "scale_shift" : "default",
    sample_size: config.sampleSize ?? null,
    time_embedding_type: config.timeEmbedding,
    up_block_types: config.upAttention.map((attends) => (attends ? "AttnUpBlock2D" : "UpBlock2D")),
    upsample_type: "conv",
  };
}
