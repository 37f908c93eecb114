import { countable, diffusersFields, type Json } from "../denoisers/diffusers-fields.ts";

/** A variational autoencoder of images in the layout of diffusers' AutoencoderKL. */
export interface AutoencoderConfig {
  inChannels: number;
  outChannels: number;
  /** Of each level, from the full resolution down; each further one halves the sides. */
  blockChannels: readonly number[];
  layersPerBlock: number;
  latentChannels: number;
  normGroups: number;
  /** Latents are multiplied by it, so that their deviation is about 1. */
  scalingFactor: number;
  midAttention: boolean;
  /** 1 × 1 convolutions behind the encoder and before the decoder. */
  quantConvolution: boolean;
  postQuantConvolution: boolean;
  sampleSize?: number;
}

/** What there is no forward pass for; each is refused by name, none ignored. */
const supported: Record<string, readonly unknown[]> = {
  act_fn: ["silu", "swish", undefined],
  shift_factor: [null, undefined],
  latents_mean: [null, undefined],
  latents_std: [null, undefined],
};

/** Completes and checks a config; the defaults are Stable Diffusion 1's. @throws RangeError on sizes that do not fit each other */
export function autoencoderConfig(options: Partial<AutoencoderConfig> = {}): AutoencoderConfig {
  const config: AutoencoderConfig = {
    inChannels: 3,
    outChannels: 3,
    blockChannels: [128, 256, 512, 512],
    layersPerBlock: 2,
    latentChannels: 4,
    normGroups: 32,
    scalingFactor: 0.18215,
    midAttention: true,
    quantConvolution: true,
    postQuantConvolution: true,
    ...options,
  };
  const { blockChannels, normGroups, inChannels, outChannels, latentChannels, layersPerBlock } = config;
  const fail = (what: string): never => {
    throw new RangeError(`autoencoder: ${what}.`);
  };
  if (blockChannels.length < 1 || blockChannels.length > 16)
    fail(`${blockChannels.length} levels; expected 1 to 16`);
  for (const [name, value] of Object.entries({ inChannels, outChannels, latentChannels, normGroups }))
    if (!countable(value)) fail(`${name} is ${value}, expected a positive integer`);
  if (!countable(layersPerBlock, 64)) fail(`layersPerBlock is ${layersPerBlock}, expected 1 to 64`);
  blockChannels.forEach((channels, level) => {
    if (!countable(channels) || channels % normGroups !== 0)
      fail(`level ${level} has ${channels} channels, which do not split into ${normGroups} groups`);
  });
  if (!(config.scalingFactor > 0 && config.scalingFactor < Number.POSITIVE_INFINITY))
    fail(`scalingFactor is ${config.scalingFactor}, expected a positive number`);
  return config;
}

/**
 * Reads the config.json of a diffusers AutoencoderKL.
 *
 * @throws RangeError on what this autoencoder does not do, by name
 */
export function autoencoderConfigFromDiffusers(json: Json): AutoencoderConfig {
  const { only, number, boolean, numbers, blocks } = diffusersFields(json, "AutoencoderKL");
  only(supported);
  const blockChannels = numbers("block_out_channels", [64]);
  for (const [field, name] of [
    ["down_block_types", "DownEncoderBlock2D"],
    ["up_block_types", "UpDecoderBlock2D"],
  ] as const)
    if (blocks(field, { [name]: true }, [name]).length !== blockChannels.length)
      throw new RangeError(
        `AutoencoderKL config: ${field} has not one entry for each of ${blockChannels.length} levels.`,
      );
  return autoencoderConfig({
    inChannels: number("in_channels", 3),
    outChannels: number("out_channels", 3),
    blockChannels,
    layersPerBlock: number("layers_per_block", 1),
    latentChannels: number("latent_channels", 4),
    normGroups: number("norm_num_groups", 32),
    scalingFactor: number("scaling_factor", 0.18215),
    midAttention: boolean("mid_block_add_attention", true),
    quantConvolution: boolean("use_quant_conv", true),
    postQuantConvolution: boolean("use_post_quant_conv", true),
    ...(typeof json.sample_size === "number" && { sampleSize: json.sample_size }),
  });
}

/** The same as diffusers writes it. */
export function autoencoderDiffusersConfig(config: AutoencoderConfig): Json {
  const all = (name: string) => config.blockChannels.map(() => name);
  return {
    _class_name: "AutoencoderKL",
    act_fn: "silu",
    block_out_channels: [...config.blockChannels],
    down_block_types: all("DownEncoderBlock2D"),
    in_channels: config.inChannels,
    latent_channels: config.latentChannels,
    layers_per_block: config.layersPerBlock,
    mid_block_add_attention: config.midAttention,
    norm_num_groups: config.normGroups,
    out_channels: config.outChannels,
    sample_size: config.sampleSize ?? 32,
    scaling_factor: config.scalingFactor,
    up_block_types: all("UpDecoderBlock2D"),
    use_post_quant_conv: config.postQuantConvolution,
    use_quant_conv: config.quantConvolution,
  };
}
