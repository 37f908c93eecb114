import { type Encoder, encoderFrom, type NewHead, savedEncoderParameters } from "../encoders/encoder.ts";
import { longestInput } from "../encoders/encoder-config.ts";
import {
  encoderConfigFromHuggingFace,
  encoderFamilies,
  huggingFaceEncoderConfig,
} from "../encoders/encoder-families.ts";
import type { HoldOptions } from "../weight-storage.ts";
import { adapterBase, labelsOfAdapter, onBase } from "./adapter-folder.ts";
import { type FolderOptions, tensorsOf, withAdapterMerged, writeModelFolder } from "./model-folder.ts";
import type { HubSettings } from "./open-checkpoint.ts";
import { openModelFolder } from "./open-model-folder.ts";
import { openTokenizer } from "./tokenizer-folder.ts";
import { roundedTensors, type WeightType, withWeights } from "./weights-folder.ts";

export interface LoadEncoderOptions extends NewHead, HoldOptions {
  /** Rounds the weights to this precision; how they lie in memory `storage` says. Default F32: as they are. */
  dtype?: WeightType;
  /** The base of an adapter folder, where it is not the one that the adapter names. */
  base?: string;
  /** How the hub is reached, for `hf:` references. */
  hub?: HubSettings;
}

/**
 * Loads an encoder from a Hugging Face folder or `hf:owner/name[@revision]`: a bare one, one with a pre-training head (left away), or a
 * sequence classifier with its head; labels that are asked of one without a head get a fresh one. A PEFT adapter folder loads with its base,
 * with the head that it brings.
 *
 * @throws Error naming the file and what is wrong with it.
 */
export async function loadEncoder(
  pathOrReference: string,
  options: LoadEncoderOptions = {},
): Promise<Encoder> {
  const base = await adapterBase(pathOrReference, options.base);
  if (base) {
    const { base: _, ...rest } = options;
    const heads = Object.values(encoderFamilies).map(({ head }) => head.output);
    const labels = rest.labels ?? (await labelsOfAdapter(pathOrReference, heads));
    return onBase(loadEncoder(base, { ...rest, ...(labels !== undefined && { labels }) }), pathOrReference);
  }
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

/** Saves an encoder as a Hugging Face folder, which appears whole or not at all; an adapter that is on is merged into what is saved. */
export const saveEncoder = (model: Encoder, folder: string, options: FolderOptions = {}): Promise<void> =>
  withAdapterMerged(model, (merged) => {
    const tensors = tensorsOf(savedEncoderParameters(merged));
    const { config, tokenizer } = merged;
    const json = huggingFaceEncoderConfig(config);
    return writeModelFolder(folder, { json, tensors, tokenizer, maxLength: longestInput(config) }, options);
  });
