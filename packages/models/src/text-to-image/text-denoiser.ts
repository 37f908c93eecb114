import type * as tf from "@tensorflow/tfjs-core";
import { copyVariables, type DenoiserModel, parameterMembers } from "../denoisers/denoiser-model.ts";
import { checkParameters, initialise } from "../denoisers/initialise.ts";
import { denoiseWith, featuresWith, type Parametrisation } from "../denoisers/parametrisation.ts";
import { textUnet, textUnetFeatures, textUnetParameters } from "./text-unet.ts";
import { type TextUnetConfig, type TextUnetOptions, textUnetConfig } from "./text-unet-config.ts";

/** A text-conditional U-Net over latents as a denoiser: its condition is a text's hidden states [batch, tokens, text size]. */
export interface TextDenoiser extends DenoiserModel {
  readonly config: TextUnetConfig;
  readonly parametrisation: Parametrisation;
  copy(): TextDenoiser;
}

/**
 * A text-conditional U-Net with given parameters as a denoiser.
 *
 * @param parameters by diffusers' names, convolutions [out, in, height, width]
 * @throws Error naming a parameter that is missing, superfluous or of another shape
 */
export function textDenoiser(
  parameters: ReadonlyMap<string, tf.Tensor>,
  config: TextUnetConfig,
  parametrisation: Parametrisation,
): TextDenoiser {
  checkParameters("textUnet", parameters, textUnetParameters(config));
  return {
    config,
    parametrisation,
    ...parameterMembers(parameters),
    range: parametrisation.range,
    denoise: denoiseWith(
      (input, level, states) => textUnet(parameters, config, input, level, states),
      parametrisation,
    ),
    features: featuresWith(
      (input, level, states) => textUnetFeatures(parameters, config, input, level, states),
      parametrisation,
    ),
    featureChannels: [...config.blockChannels, config.blockChannels.at(-1)!],
    copy: () => textDenoiser(copyVariables(parameters), config, parametrisation),
  };
}

/** A fresh text-conditional U-Net, its parameters drawn from the seed. */
export function createTextDenoiser({
  seed = 0,
  parametrisation,
  ...options
}: TextUnetOptions & { seed?: number | string; parametrisation: Parametrisation }): TextDenoiser {
  const config = textUnetConfig(options);
  return textDenoiser(initialise(textUnetParameters(config), seed), config, parametrisation);
}
