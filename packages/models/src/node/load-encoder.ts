import { type Encoder, encoderFrom, type NewHead, savedEncoderParameters } from "../encoders/encoder.ts";
import { longestInput } from "../encoders/encoder-config.ts";
import { encoderConfigFromHuggingFace, huggingFaceEncoderConfig } from "../encoders/encoder-families.ts";
import { type FolderOptions, tensorsOf, writeModelFolder } from "./model-folder.ts";
import type { HubSettings } from "./open-checkpoint.ts";
import { openModelFolder } from "./open-model-folder.ts";
import { openTokenizer } from "./tokenizer-folder.ts";
import { roundedTensors, type WeightType, withWeights } from "./weights-folder.ts";

export interface LoadEncoderOptions extends NewHead {
  /** Rounds the weights to this precision; they are float32 in memory all the same. Default F32: as they are. */
  dtype?: WeightType;
  /** Default true; false makes frozen tensors. */
  trainable?: boolean;
  /** How the hub is reached, for `hf:` references. */
  hub?: HubSettings;
}

/**
 * Loads an encoder from a Hugging Face folder or `hf:owner/name[@revision]`: a bare one, one with a pre-training head (left away), or a
 * sequence classifier with its head; labels that are asked of one without a head get a fresh one.
 *
 * @throws Error naming the file and what is wrong with it.
 */
export async function loadEncoder(
  pathOrReference: string,
  options: LoadEncoderOptions = {},
): Promise<Encoder> {
  const { folder, json } = await openModelFolder(pathOrReference, options.hub);
  try {
    const config = encoderConfigFromHuggingFace(json);
    const tokenizer = await openTokenizer(folder);
    return await withWeights(folder, (tensors) =>
      encoderFrom(
        { config, tensors: roundedTensors(tensors, options.dtype ?? "F32"), ...(tokenizer && { tokenizer }) },
        options,
      ),
    );
  } catch (error) {
    throw new Error(`${pathOrReference}: ${(error as Error).message}`, { cause: error });
  }
}

/** Saves an encoder as a Hugging Face folder, which appears whole or not at all. */
export async function saveEncoder(
  model: Encoder,
  folder: string,
  options: FolderOptions = {},
): Promise<void> {
  const tensors = tensorsOf(savedEncoderParameters(model));
  const { config, tokenizer } = model;
  const json = huggingFaceEncoderConfig(config);
  await writeModelFolder(folder, { json, tensors, tokenizer, maxLength: longestInput(config) }, options);
}
