import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type Encoder, encoderFrom, type NewHead, savedEncoderParameters } from "../encoders/encoder.ts";
import { longestInput } from "../encoders/encoder-config.ts";
import { encoderConfigFromHuggingFace, huggingFaceEncoderConfig } from "../encoders/encoder-families.ts";
import { readJson } from "./json-file.ts";
import { type FolderOptions, writeModelFolder } from "./model-folder.ts";
import { type HubSettings, localPath } from "./open-checkpoint.ts";
import { openTokenizer } from "./tokenizer-folder.ts";
import { openWeights, roundedTensors, type WeightType } from "./weights-folder.ts";

export interface LoadEncoderOptions extends NewHead {
  /** Rounds the weights to this precision; they are float32 in memory all the same. Default F32: as they are. */
  dtype?: WeightType;
  /** Default true; false makes frozen tensors. */
  trainable?: boolean;
  /** How the hub is reached, for `hf:` references. */
  hub?: HubSettings;
}

/** The `config.json` of a Hugging Face folder, or of an `hf:` reference, and the folder on this machine. */
export async function openModelFolder(
  pathOrReference: string,
  hub: HubSettings | undefined,
): Promise<{ folder: string; json: Record<string, unknown> }> {
  const folder = await localPath(pathOrReference, hub);
  const found = await stat(folder).catch(() => undefined);
  if (!found?.isDirectory())
    throw new Error(`${folder}: no such folder; a model on the hub is written hf:owner/name`);
  const json = await readJson(join(folder, "config.json"));
  if (!json) throw new Error(`${folder}: has no config.json, so it is no Hugging Face model folder`);
  return { folder, json };
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
    const { tensors, files } = await openWeights(folder);
    try {
      const rounded = roundedTensors(tensors, options.dtype ?? "F32");
      return await encoderFrom({ config, tensors: rounded, ...(tokenizer && { tokenizer }) }, options);
    } finally {
      await Promise.all(files.map((file) => file.close()));
    }
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
  const tensors = Array.from(savedEncoderParameters(model), ([name, tensor]) => ({
    name,
    shape: [...tensor.shape],
    read: async () => (await tensor.data()) as Float32Array,
  }));
  const { config, tokenizer } = model;
  const json = huggingFaceEncoderConfig(config);
  await writeModelFolder(folder, { json, tensors, tokenizer, maxLength: longestInput(config) }, options);
}
