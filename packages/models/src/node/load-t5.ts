import { join } from "node:path";
import { t5ConfigFrom, t5ConfigJson } from "../t5/t5-config.ts";
import { type T5, t5From } from "../t5/t5-model.ts";
import { readJson } from "./json-file.ts";
import { type FolderOptions, tensorsOf, writeModelFolder } from "./model-folder.ts";
import type { HubSettings } from "./open-checkpoint.ts";
import { openModelFolder } from "./open-model-folder.ts";
import { openTokenizer } from "./tokenizer-folder.ts";
import { roundedTensors, type WeightType, withWeights } from "./weights-folder.ts";

export interface LoadT5Options {
  /** Rounds the weights to this precision; they are float32 in memory all the same. Default F32: as they are. */
  dtype?: WeightType;
  /** Default true; false makes frozen tensors. */
  trainable?: boolean;
  /** How the hub is reached, for `hf:` references. */
  hub?: HubSettings;
}

/**
 * Loads a T5, version 1.0 or 1.1 (FLAN-T5, T0 and mT5 among them), from a Hugging Face folder or `hf:owner/name[@revision]`.
 *
 * @throws Error naming the file and what is wrong with it.
 */
export async function loadT5(pathOrReference: string, options: LoadT5Options = {}): Promise<T5> {
  const { folder, json } = await openModelFolder(pathOrReference, options.hub);
  try {
    // Some checkpoints name what the decoder begins with only there.
    const generation = (await readJson(join(folder, "generation_config.json"))) ?? {};
    const start = json.decoder_start_token_id ?? generation.decoder_start_token_id;
    const config = t5ConfigFrom({ ...json, ...(start !== undefined && { decoder_start_token_id: start }) });
    const tokenizer = await openTokenizer(folder);
    return await withWeights(folder, (tensors) =>
      t5From(
        { config, tensors: roundedTensors(tensors, options.dtype ?? "F32"), ...(tokenizer && { tokenizer }) },
        { trainable: options.trainable ?? true },
      ),
    );
  } catch (error) {
    throw new Error(`${pathOrReference}: ${(error as Error).message}`, { cause: error });
  }
}

/** Saves a T5 as a Hugging Face folder, which appears whole or not at all. */
export async function saveT5(model: T5, folder: string, options: FolderOptions = {}): Promise<void> {
  const { config, parameters, tokenizer } = model;
  const { startId, eosIds, padId } = config;
  const generationConfig = { decoder_start_token_id: startId, eos_token_id: eosIds, pad_token_id: padId };
  const written = {
    json: t5ConfigJson(config),
    tensors: tensorsOf(parameters),
    tokenizer,
    generationConfig,
    maxLength: 512,
  };
  await writeModelFolder(folder, written, options);
}
