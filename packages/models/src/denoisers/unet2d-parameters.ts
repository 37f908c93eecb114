import { blockParameters } from "./block-parameters.ts";
import type { InitialParameter } from "./initialise.ts";
import { type AddAttention, ascentParameters, descentParameters } from "./unet-path-parameters.ts";
import type { Unet2dConfig } from "./unet2d-config.ts";

/** Every parameter's shape and start, by diffusers' names. */
export function unet2dParameters(config: Unet2dConfig): Map<string, InitialParameter> {
  const parameters = blockParameters(config);
  const { specs, affine } = parameters;
  const width = config.blockChannels[0]!;
  const inner = 4 * width;
  const attention: AddAttention = (name, channels, place, level) => {
    if (place === "middle") {
      if (config.midAttention) parameters.attention(name, channels, config.midAttentionGroups);
    } else if (place === "down" ? config.downAttention[level] : config.upAttention[level])
      parameters.attention(name, channels, config.normGroups);
  };
  const fourier = config.timeEmbedding === "fourier";
  if (fourier) specs.set("time_proj.weight", { shape: [width], start: { gain: 16 } });
  affine("time_embedding.linear_1", [inner, fourier ? 2 * width : width]);
  affine("time_embedding.linear_2", [inner, inner]);
  if (config.labels > 0)
    specs.set("class_embedding.weight", {
      shape: [config.labels, inner],
      start: { gain: Math.sqrt(inner) },
    });
  const skips = descentParameters(parameters, config, inner, attention);
  ascentParameters(parameters, config, skips, inner, attention);
  return specs;
}
