import type { CausalLm } from "../causal-lm.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { writeHuggingFaceFolder } from "./hugging-face-folder.ts";
import { type FolderOptions, tensorsOf, withAdapterMerged } from "./model-folder.ts";

/** A model in memory as a checkpoint; an adapter that is on must have been merged. */
export const checkpointOf = ({ config, parameters, tokenizer }: CausalLm): Checkpoint => ({
  config,
  tensors: tensorsOf(parameters),
  ...(tokenizer && { tokenizer }),
});

/**
 * Saves a model as a Hugging Face folder, which appears whole or not at all; an attached adapter that is on is merged into what is
 * saved (`saveAdapter` saves it alone).
 */
export const saveCausalLm = (model: CausalLm, folder: string, options: FolderOptions = {}): Promise<void> =>
  withAdapterMerged(model, (merged) => writeHuggingFaceFolder(checkpointOf(merged), folder, options));
