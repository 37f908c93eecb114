import { parseSafetensors } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { todaysName, todaysShape } from "./diffusers-names.ts";
import { parametrisationFromDiffusers } from "./diffusers-scheduler.ts";
import { encodeWeights } from "./encode-weights.ts";
import { type UnetDenoiser, unetDenoiser } from "./unet-denoiser.ts";
import { diffusersConfig, unet2dConfigFromDiffusers } from "./unet2d-diffusers-config.ts";
import { unet2dParameters } from "./unet2d-parameters.ts";

/** The files of a diffusers UNet2DModel with its scheduler, as they lie in its folder. */
export interface DiffusersUnetFiles {
  /** config.json */
  config: Record<string, unknown>;
  /** scheduler_config.json */
  scheduler: Record<string, unknown>;
  /** diffusion_pytorch_model.safetensors */
  weights: Uint8Array;
}

/** A Fourier embedding's frequencies are in the file under two names. */
const isSuperfluous = (name: string): boolean => name === "time_proj.W";

/**
 * A published teacher as a denoiser, from its files in memory.
 *
 * @param options.trainable makes variables of its parameters; default false
 * @throws RangeError on a configuration that can't be read, by field; Error on missing or superfluous parameters
 */
export function unetFromDiffusers(files: DiffusersUnetFiles, { trainable = false } = {}): UnetDenoiser {
  const config = unet2dConfigFromDiffusers(files.config);
  const parametrisation = parametrisationFromDiffusers(files.scheduler);
  const parsed = parseSafetensors(files.weights, "diffusion_pytorch_model.safetensors");
  const expected = unet2dParameters(config);
  const parameters = new Map<string, tf.Tensor>();
  try {
    for (const [name, { shape }] of parsed.tensors) {
      if (isSuperfluous(name)) continue;
      const today = todaysName(name);
      parameters.set(
        today,
        tf.tidy(() => {
          const tensor = tf.tensor(
            parsed.readFloat32(name),
            todaysShape(today, shape, expected.get(today)?.shape),
          );
          return trainable ? tf.variable(tensor) : tensor;
        }),
      );
    }
    return unetDenoiser(parameters, config, parametrisation);
  } catch (error) {
    for (const tensor of parameters.values()) tensor.dispose();
    throw error;
  }
}

/**
 * A U-Net as the files of a diffusers folder, which UNet2DModel.from_pretrained and the scheduler's read.
 *
 * @throws Error for a parametrisation of one's own, which no scheduler of diffusers describes
 */
export async function unetToDiffusers(model: UnetDenoiser): Promise<DiffusersUnetFiles> {
  const { scheduler } = model.parametrisation;
  if (!scheduler)
    throw new Error("unetToDiffusers: no scheduler of diffusers is known for this model's parametrisation.");
  return {
    config: diffusersConfig(model.config),
    scheduler: { ...scheduler },
    weights: await encodeWeights(model.all),
  };
}
