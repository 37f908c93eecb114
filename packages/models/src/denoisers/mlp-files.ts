import { parseSafetensors } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { encodeWeights } from "./encode-weights.ts";
import { checkMlpParameters, type MlpDenoiser, type MlpSizes, mlpDenoiser } from "./mlp-denoiser.ts";

/** An MLP denoiser as the files of a folder. */
export interface MlpFiles {
  /** config.json */
  config: Record<string, unknown>;
  /** model.safetensors */
  weights: Uint8Array;
}

export const mlpClassName = "MlpDenoiser";
const fields: (keyof MlpSizes)[] = ["dimensions", "hidden", "layers", "labels", "sigmaData"];

/** The files that mlpFromFiles reads. */
export async function mlpToFiles(model: MlpDenoiser): Promise<MlpFiles> {
  return {
    config: { _class_name: mlpClassName, ...model.sizes },
    weights: await encodeWeights(model.all),
  };
}

/** @throws RangeError naming a field that is missing, superfluous or no number */
function sizesOf(config: Record<string, unknown>): MlpSizes {
  const unknown = Object.keys(config).find(
    (name) => name !== "_class_name" && !fields.includes(name as keyof MlpSizes),
  );
  if (unknown) throw new RangeError(`config.json: an ${mlpClassName} has no ${unknown}.`);
  return Object.fromEntries(
    fields.map((name) => {
      const value = config[name];
      if (typeof value !== "number")
        throw new RangeError(`config.json: ${name} is ${JSON.stringify(value)}, expected a number.`);
      return [name, value];
    }),
  ) as unknown as MlpSizes;
}

/** Whether tensors of a file are those of its configuration. @throws as mlpFromFiles does */
export const checkMlpTensors = (
  config: Record<string, unknown>,
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
): void => checkMlpParameters(tensors, sizesOf(config));

/**
 * An MLP denoiser from its files in memory.
 *
 * @param options.trainable makes variables of its parameters; default false
 * @throws RangeError on the configuration; Error on parameters that do not fit it
 */
export function mlpFromFiles({ config, weights }: MlpFiles, { trainable = false } = {}): MlpDenoiser {
  const sizes = sizesOf(config);
  const parsed = parseSafetensors(weights, "model.safetensors");
  const parameters = new Map<string, tf.Tensor>();
  try {
    for (const [name, { shape }] of parsed.tensors)
      parameters.set(
        name,
        tf.tidy(() => {
          const tensor = tf.tensor(parsed.readFloat32(name), [...shape]);
          return trainable ? tf.variable(tensor) : tensor;
        }),
      );
    return mlpDenoiser(parameters, sizes);
  } catch (error) {
    tf.dispose([...parameters.values()]);
    throw error;
  }
}
