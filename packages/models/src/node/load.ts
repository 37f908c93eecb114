import { type CausalLm, causalLmFrom } from "../causal-lm.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { HoldOptions } from "../weight-storage.ts";
import { adapterBase, onBase } from "./adapter-folder.ts";
import { localPath, type OpenOptions, openCheckpoint } from "./open-checkpoint.ts";
import { roundedTensors, type WeightType } from "./weights-folder.ts";

export interface LoadOptions extends OpenOptions, HoldOptions {
  /** Rounds the weights to this precision; how they lie in memory `storage` says. Default F32: as they are. */
  dtype?: WeightType;
  /** The base of an adapter folder, where it is not the one that the adapter names. */
  base?: string;
}

const rounded = (checkpoint: Checkpoint, dtype: WeightType): Checkpoint => ({
  ...checkpoint,
  tensors: roundedTensors(checkpoint.tensors, dtype),
});

/**
 * Loads a causal language model into tensors, one at a time, from a Hugging Face folder, a `.gguf` or llama2.c `.bin` file, a PEFT adapter folder (with its
 * base), or `hf:owner/name[@revision][/file]`.
 *
 * @throws Error naming the file and what is wrong with it.
 */
export async function loadCausalLm(pathOrReference: string, options: LoadOptions = {}): Promise<CausalLm> {
  const path = await localPath(pathOrReference, options.hub);
  const base = await adapterBase(path, options.base);
  if (base) {
    const { base: _, ...rest } = options;
    return onBase(loadCausalLm(base, rest), path);
  }
  const checkpoint = await openCheckpoint(path, options);
  try {
    return await causalLmFrom(rounded(checkpoint, options.dtype ?? "F32"), {
      ...(options.trainable !== undefined && { trainable: options.trainable }),
      ...(options.storage !== undefined && { storage: options.storage }),
    });
  } catch (error) {
    throw new Error(`${pathOrReference}: ${(error as Error).message}`, { cause: error });
  } finally {
    await checkpoint.close?.();
  }
}
