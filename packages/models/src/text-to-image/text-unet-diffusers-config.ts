import { diffusersFields, type Json } from "../denoisers/diffusers-fields.ts";
import { checkTextUnetConfig, type TextUnetConfig } from "./text-unet-config.ts";

/** What there is no forward pass for; each is refused by name, none ignored. */
const supported: Record<string, readonly unknown[]> = {
  mid_block_type: ["UNetMidBlock2DCrossAttn", undefined],
  only_cross_attention: [false, undefined],
  mid_block_only_cross_attention: [null, false, undefined],
  act_fn: ["silu", "swish", undefined],
  reverse_transformer_layers_per_block: [null, undefined],
  encoder_hid_dim: [null, undefined],
  encoder_hid_dim_type: [null, undefined],
  dual_cross_attention: [false, undefined],
  class_embed_type: [null, undefined],
  num_class_embeds: [null, undefined],
  addition_embed_type: [null, undefined],
  addition_time_embed_dim: [null, undefined],
  resnet_time_scale_shift: ["default", "scale_shift", undefined],
  resnet_skip_time_act: [false, undefined],
  resnet_out_scale_factor: [1, undefined],
  time_embedding_type: ["positional", undefined],
  time_embedding_dim: [null, undefined],
  time_embedding_act_fn: [null, undefined],
  timestep_post_act: [null, undefined],
  time_cond_proj_dim: [null, undefined],
  conv_in_kernel: [3, undefined],
  conv_out_kernel: [3, undefined],
  projection_class_embeddings_input_dim: [null, undefined],
  attention_type: ["default", undefined],
  class_embeddings_concat: [false, undefined],
  cross_attention_norm: [null, undefined],
};

/**
 * Reads the config.json of a diffusers UNet2DConditionModel.
 *
 * @throws RangeError on what this U-Net does not do, by name
 */
export function textUnetConfigFromDiffusers(json: Json): TextUnetConfig {
  const { only, number, boolean, numbers, perLevel, blocks } = diffusersFields(json, "UNet2DConditionModel");
  only(supported);
  const blockChannels = numbers("block_out_channels", [320, 640, 1280, 1280]);
  // Their attention_head_dim counts heads, wherever num_attention_heads is not given.
  const counts = (json.num_attention_heads ?? null) === null ? "attention_head_dim" : "num_attention_heads";
  const attended = { CrossAttnDownBlock2D: true, DownBlock2D: false };
  const attendedUp = { CrossAttnUpBlock2D: true, UpBlock2D: false };
  const cross = "CrossAttnDownBlock2D";
  const crossUp = "CrossAttnUpBlock2D";
  const config: TextUnetConfig = {
    inChannels: number("in_channels", 4),
    outChannels: number("out_channels", 4),
    blockChannels,
    downAttention: blocks("down_block_types", attended, [cross, cross, cross, "DownBlock2D"]),
    upAttention: blocks("up_block_types", attendedUp, ["UpBlock2D", crossUp, crossUp, crossUp]),
    layersPerBlock: number("layers_per_block", 2),
    heads: perLevel(counts, blockChannels.length, 8),
    transformerLayers: number("transformer_layers_per_block", 1),
    textSize: number("cross_attention_dim", 1280),
    linearProjection: boolean("use_linear_projection", false),
    normGroups: number("norm_num_groups", 32),
    normEpsilon: number("norm_eps", 1e-5),
    midScale: number("mid_block_scale_factor", 1),
    flipSinToCos: boolean("flip_sin_to_cos", true),
    frequencyShift: number("freq_shift", 0),
    scaleShift: json.resnet_time_scale_shift === "scale_shift",
    downsamplePadding: number("downsample_padding", 1),
    centreInput: boolean("center_input_sample", false),
    ...(typeof json.sample_size === "number" && { sampleSize: json.sample_size }),
  };
  checkTextUnetConfig(config);
  return config;
}

/** The same as diffusers writes it. */
export function textUnetDiffusersConfig(config: TextUnetConfig): Json {
  const [first] = config.heads;
  return {
    _class_name: "UNet2DConditionModel",
    act_fn: "silu",
    attention_head_dim: config.heads.every((heads) => heads === first) ? first : [...config.heads],
    block_out_channels: [...config.blockChannels],
    center_input_sample: config.centreInput,
    cross_attention_dim: config.textSize,
    down_block_types: config.downAttention.map((attends) =>
      attends ? "CrossAttnDownBlock2D" : "DownBlock2D",
    ),
    downsample_padding: config.downsamplePadding,
    flip_sin_to_cos: config.flipSinToCos,
    freq_shift: config.frequencyShift,
    in_channels: config.inChannels,
    layers_per_block: config.layersPerBlock,
    mid_block_scale_factor: config.midScale,
    mid_block_type: "UNetMidBlock2DCrossAttn",
    norm_eps: config.normEpsilon,
    norm_num_groups: config.normGroups,
    out_channels: config.outChannels,
    resnet_time_scale_shift: config.scaleShift ? "scale_shift" : "default",
    sample_size: config.sampleSize ?? null,
    transformer_layers_per_block: config.transformerLayers,
    up_block_types: config.upAttention.map((attends) => (attends ? "CrossAttnUpBlock2D" : "UpBlock2D")),
    use_linear_projection: config.linearProjection,
  };
}
