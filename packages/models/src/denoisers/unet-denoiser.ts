import type * as tf from "@tensorflow/tfjs-core";
import { copyVariables, type DenoiserModel, parameterMembers } from "./denoiser-model.ts";
import { checkParameters, initialise } from "./initialise.ts";
import { denoiseWith, edm, featuresWith, type Parametrisation } from "./parametrisation.ts";
import { unet2d, unet2dFeatures } from "./unet2d.ts";
import { type Unet2dConfig, type Unet2dOptions, unet2dConfig } from "./unet2d-config.ts";
import { unet2dParameters } from "./unet2d-parameters.ts";

/** A U-Net over images [batch, height, width, channels] as a denoiser. */
export interface UnetDenoiser extends DenoiserModel {
  readonly config: Unet2dConfig;
  readonly parametrisation: Parametrisation;
  copy(): UnetDenoiser;
}

/**
 * A U-Net with given parameters as a denoiser.
 *
 * @param parameters by diffusers' names, convolutions [out, in, height, width]
 * @throws Error naming a parameter that is missing, superfluous or of another shape
 */
export function unetDenoiser(
  parameters: ReadonlyMap<string, tf.Tensor>,
  config: Unet2dConfig,
  parametrisation: Parametrisation,
): UnetDenoiser {
  checkParameters("unet2d", parameters, unet2dParameters(config));
  return {
    config,
    parametrisation,
    ...parameterMembers(parameters),
    range: parametrisation.range,
    denoise: denoiseWith(
      (input, level, labels) => unet2d(parameters, config, input, level, labels),
      parametrisation,
    ),
    features: featuresWith(
      (input, level, labels) => unet2dFeatures(parameters, config, input, level, labels),
      parametrisation,
    ),
    featureChannels: [...config.blockChannels, config.blockChannels.at(-1)!],
    copy: () => unetDenoiser(copyVariables(parameters), config, parametrisation),
  };
}

export interface CreateUnetOptions extends Unet2dOptions {
  seed?: number | string;
  sigmaData?: number;
}

/** A fresh U-Net under EDM's preconditioning, its parameters drawn from the seed. */
export function createUnetDenoiser({
  seed = 0,
  sigmaData = 0.5,
  ...options
}: CreateUnetOptions = {}): UnetDenoiser {
  const config = unet2dConfig(options);
  return unetDenoiser(initialise(unet2dParameters(config), seed), config, edm({ sigmaData }));
}
