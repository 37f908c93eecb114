import { parseSafetensors } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { todaysName, todaysShape } from "./diffusers-names.ts";
import { parametrisationFromDiffusers } from "./diffusers-scheduler.ts";
import { encodeWeights } from "./encode-weights.ts";
import { checkParameters, type InitialParameter } from "./initialise.ts";
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

/** Tensors of a file as the network has them: by today's names and shapes, without what is there twice. */
function inTodaysNames(
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  expected: ReadonlyMap<string, InitialParameter>,
): Map<string, { file: string; shape: number[] }> {
  const found = new Map<string, { file: string; shape: number[] }>();
  for (const [file, { shape }] of tensors) {
    if (isSuperfluous(file)) continue;
    const name = todaysName(file);
    found.set(name, { file, shape: todaysShape(name, shape, expected.get(name)?.shape) });
  }
  return found;
}

/** Whether tensors of a file are those of its configuration. @throws as unetFromDiffusers does */
export function checkUnetTensors(
  config: Record<string, unknown>,
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
): void {
  const expected = unet2dParameters(unet2dConfigFromDiffusers(config));
  checkParameters("unet2d", inTodaysNames(tensors, expected), expected);
}

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
  const parameters = new Map<string, tf.Tensor>();
  try {
    for (const [name, { file, shape }] of inTodaysNames(parsed.tensors, unet2dParameters(config)))
      parameters.set(
        name,
        tf.tidy(() => {
          const tensor = tf.tensor(parsed.readFloat32(file), shape);
          return trainable ? tf.variable(tensor) : tensor;
        }),
      );
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
