import { diffusersFields, type Json } from "./diffusers-fields.ts";
import { checkUnet2dConfig, type Unet2dConfig } from "./unet2d-config.ts";

/** What there is no forward pass for; each is refused by name, none ignored. */
const supported: Record<string, readonly unknown[]> = {
  downsample_type: ["conv", "resnet", undefined],
  upsample_type: ["conv", "resnet", undefined],
  act_fn: ["silu", "swish", undefined],
  class_embed_type: [null, undefined],
  mid_block_type: ["UNetMidBlock2D", undefined],
  resnet_time_scale_shift: ["default", "scale_shift", undefined],
  time_embedding_type: ["positional", "fourier", undefined],
  time_embedding_dim: [null, undefined],
  num_train_timesteps: [null, undefined],
};

interface Block {
  attends: boolean;
  /** Whether it resamples by a residual block; those that attend do as downsample_type or upsample_type says. */
  residual: boolean | "as told";
}

const blocksOf = (plain: string, attending: string, residual: string): Record<string, Block> => ({
  [plain]: { attends: false, residual: false },
  [attending]: { attends: true, residual: "as told" },
  [residual]: { attends: false, residual: true },
});
const downBlocks = blocksOf("DownBlock2D", "AttnDownBlock2D", "ResnetDownsampleBlock2D");
const upBlocks = blocksOf("UpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D");

/**
 * Reads the config.json of a diffusers UNet2DModel.
 *
 * @throws RangeError on what this U-Net does not do, by name
 */
export function unet2dConfigFromDiffusers(json: Json): Unet2dConfig {
  const { only, number, numbers, blocks } = diffusersFields(json, "UNet2DModel");
  only(supported);
  const down = blocks("down_block_types", downBlocks, [
    "DownBlock2D",
    "AttnDownBlock2D",
    "AttnDownBlock2D",
    "AttnDownBlock2D",
  ]);
  const up = blocks("up_block_types", upBlocks, [
    "AttnUpBlock2D",
    "AttnUpBlock2D",
    "AttnUpBlock2D",
    "UpBlock2D",
  ]);
  const resampled = (own: Block[], type: unknown) =>
    // The last level is not left.
    own.map(
      ({ residual }, level) =>
        level < own.length - 1 && (residual === "as told" ? type === "resnet" : residual),
    );
  const headSize = json.attention_head_dim === null ? null : number("attention_head_dim", 8);
  const sampleSize = json.sample_size;
  const config: Unet2dConfig = {
    inChannels: number("in_channels", 3),
    outChannels: number("out_channels", 3),
    blockChannels: numbers("block_out_channels", [224, 448, 672, 896]),
    downAttention: down.map(({ attends }) => attends),
    upAttention: up.map(({ attends }) => attends),
    downResidual: resampled(down, json.downsample_type),
    upResidual: resampled(up, json.upsample_type),
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

/** Block names, and what those that attend resample by. @throws RangeError where they differ in it, which no configuration of diffusers says */
function blockNames(
  known: Record<string, Block>,
  attention: readonly boolean[],
  residual: readonly boolean[],
) {
  const told = residual.filter((_, level) => attention[level] && level < residual.length - 1);
  if (told.some((own) => own !== told[0]))
    throw new RangeError("UNet2DModel config: levels that attend must all resample in the same way.");
  const types = attention.map((attends, level) => {
    const own = ([, block]: [string, Block]) =>
      attends ? block.attends : !block.attends && block.residual === residual[level];
    return Object.entries(known).find(own)![0];
  });
  return { types, resampling: told[0] ? "resnet" : "conv" };
}

/** The same as diffusers writes it. */
export function diffusersConfig(config: Unet2dConfig): Json {
  const down = blockNames(downBlocks, config.downAttention, config.downResidual);
  const up = blockNames(upBlocks, config.upAttention, config.upResidual);
  return {
    _class_name: "UNet2DModel",
    act_fn: "silu",
    add_attention: config.midAttention,
    attention_head_dim: config.headSize,
    attn_norm_num_groups: config.midAttentionGroups === 0 ? null : config.midAttentionGroups,
    block_out_channels: [...config.blockChannels],
    center_input_sample: config.centreInput,
    class_embed_type: null,
    down_block_types: down.types,
    downsample_padding: config.downsamplePadding,
    downsample_type: down.resampling,
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
    up_block_types: up.types,
    upsample_type: up.resampling,
  };
}
