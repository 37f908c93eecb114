import { diffusersFields, type Json } from "./diffusers-fields.ts";
import { checkUnet2dConfig, type Unet2dConfig } from "./unet2d-config.ts";

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

/**
 * Reads the config.json of a diffusers UNet2DModel.
 *
 * @throws RangeError on what this U-Net does not do, by name
 */
export function unet2dConfigFromDiffusers(json: Json): Unet2dConfig {
  const { only, number, numbers, blocks } = diffusersFields(json, "UNet2DModel");
  only(supported);
  const attends = (plain: string, attending: string) => ({ [plain]: false, [attending]: true });
  const headSize = json.attention_head_dim === null ? null : number("attention_head_dim", 8);
  const sampleSize = json.sample_size;
  const config: Unet2dConfig = {
    inChannels: number("in_channels", 3),
    outChannels: number("out_channels", 3),
    blockChannels: numbers("block_out_channels", [224, 448, 672, 896]),
    downAttention: blocks("down_block_types", attends("DownBlock2D", "AttnDownBlock2D"), [
      "DownBlock2D",
      "AttnDownBlock2D",
      "AttnDownBlock2D",
      "AttnDownBlock2D",
    ]),
    upAttention: blocks("up_block_types", attends("UpBlock2D", "AttnUpBlock2D"), [
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
