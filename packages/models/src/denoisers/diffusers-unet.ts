import { parseSafetensors } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { parametrisationFromDiffusers } from "./diffusers-scheduler.ts";
import { encodeWeights } from "./encode-weights.ts";
import { type UnetDenoiser, unetDenoiser } from "./unet-denoiser.ts";
import { diffusersConfig, unet2dConfigFromDiffusers } from "./unet2d-config.ts";
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

/** Names of attention before diffusers 0.13, and today's. */
const renamed: [RegExp, string][] = [
  [/\.query\.(weight|bias)$/, ".to_q.$1"],
  [/\.key\.(weight|bias)$/, ".to_k.$1"],
  [/\.value\.(weight|bias)$/, ".to_v.$1"],
  [/\.proj_attn\.(weight|bias)$/, ".to_out.0.$1"],
];

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
      const today = renamed.reduce((text, [old, now]) => text.replace(old, now), name);
      const size = shape.reduce((product, n) => product * n, 1);
      const known = expected.get(today)?.shape;
      // Old attention projections may be 1 × 1 convolutions: the same numbers in another shape.
      const same =
        known &&
        known.reduce((product, n) => product * n, 1) === size &&
        /\.to_(q|k|v|out\.0)\.weight$/.test(today);
      parameters.set(
        today,
        tf.tidy(() => {
          const tensor = tf.tensor(parsed.readFloat32(name), [...(same ? known : shape)]);
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
