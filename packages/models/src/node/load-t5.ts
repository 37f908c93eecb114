import { join } from "node:path";
import { t5ConfigFrom, t5ConfigJson } from "../t5/t5-config.ts";
import { type T5, t5From } from "../t5/t5-model.ts";
import type { HoldOptions } from "../weight-storage.ts";
import { adapterBase, onBase } from "./adapter-folder.ts";
import { readJson } from "./json-file.ts";
import { type FolderOptions, tensorsOf, withAdapterMerged, writeModelFolder } from "./model-folder.ts";
import type { HubSettings } from "./open-checkpoint.ts";
import { openModelFolder } from "./open-model-folder.ts";
import { openTokenizer } from "./tokenizer-folder.ts";
import { roundedTensors, type WeightType, withWeights } from "./weights-folder.ts";

export interface LoadT5Options extends HoldOptions {
  /** Rounds the weights to this precision; how they lie in memory `storage` says. Default F32: as they are. */
  dtype?: WeightType;
  /** The base of an adapter folder, where it is not the one that the adapter names. */
  base?: string;
  /** How the hub is reached, for `hf:` references. */
  hub?: HubSettings;
}

/**
 * Loads a T5, version 1.0 or 1.1 (FLAN-T5, T0 and mT5 among them), from a Hugging Face folder or `hf:owner/name[@revision]`, or a PEFT adapter folder
 * with its base.
 *
 * @throws Error naming the file and what is wrong with it.
 */
export async function loadT5(pathOrReference: string, options: LoadT5Options = {}): Promise<T5> {
  const base = await adapterBase(pathOrReference, options.base);
  if (base) {
    const { base: _, ...rest } = options;
    return onBase(loadT5(base, rest), pathOrReference);
  }
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
        options,
      ),
    );
  } catch (error) {
    throw new Error(`${pathOrReference}: ${(error as Error).message}`, { cause: error });
  }
}

/** Saves a T5 as a Hugging Face folder, which appears whole or not at all; an adapter that is on is merged into what is saved. */
export const saveT5 = (model: T5, folder: string, options: FolderOptions = {}): Promise<void> =>
  withAdapterMerged(model, ({ config, parameters, tokenizer }) => {
    const { startId, eosIds, padId } = config;
    const generationConfig = { decoder_start_token_id: startId, eos_token_id: eosIds, pad_token_id: padId };
    const written = {
      json: t5ConfigJson(config),
      tensors: tensorsOf(parameters),
      tokenizer,
      generationConfig,
      maxLength: 512,
    };
    return writeModelFolder(folder, written, options);
  });
