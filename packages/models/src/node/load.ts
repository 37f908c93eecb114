import { stat } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { type CausalLm, causalLmFrom } from "../causal-lm.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { HoldOptions } from "../weight-storage.ts";
import { baseOfAdapter, loadAdapter } from "./adapter-folder.ts";
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

const isFile = (path: string) =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/** Where an adapter's base is: beside the adapter, on this machine, or on the hub. */
async function findBase(base: string, folder: string): Promise<string> {
  if (base.startsWith("hf:") || isAbsolute(base)) return base;
  for (const candidate of [base, join(folder, base)])
    if (await stat(candidate).catch(() => undefined)) return candidate;
  return `hf:${base}`;
}

/**
 * Loads a causal language model into tensors, one at a time, from a Hugging Face folder, a `.gguf` or llama2.c `.bin` file, a PEFT adapter folder (with its
 * base), or `hf:owner/name[@revision][/file]`.
 *
 * @throws Error naming the file and what is wrong with it.
 */
export async function loadCausalLm(pathOrReference: string, options: LoadOptions = {}): Promise<CausalLm> {
  const path = await localPath(pathOrReference, options.hub);
  if ((await isFile(join(path, "adapter_config.json"))) && !(await isFile(join(path, "config.json")))) {
    const base = options.base ?? (await findBase(await baseOfAdapter(path), path));
    const { base: _, ...rest } = options;
    const model = await loadCausalLm(base, rest);
    await loadAdapter(model, path);
    return model;
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
