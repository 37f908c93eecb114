import { type Adaptable, addLora } from "@fdiv/models";
import { type FolderOptions, saveAdapter } from "@fdiv/models/node";
import type { LoraSettings } from "../config/schemas.ts";

/** A fresh adapter on a model, as the configuration asks for it; the base becomes frozen. */
export function addAdapter(
  model: Adaptable,
  { rank, alpha, targets, rankStabilised, dropout }: LoraSettings,
  { seed, baseModel }: { seed: number; baseModel: string },
): void {
  addLora(model, {
    ...{ rank, rankStabilised, seed, baseModel },
    ...(alpha !== undefined && { alpha }),
    ...(targets !== undefined && { targets }),
    ...(dropout !== undefined && { dropout }),
  });
}

/**
 * Writes the whole model, an adapter merged in, under `model`; the adapter itself beside it, and under `base` what it stands on where no other
 * folder has it.
 *
 * @param folder a place in the run directory by its name
 */
export async function saveWithAdapter<M extends Adaptable>(
  model: M,
  save: (model: M, folder: string, options: FolderOptions) => Promise<void>,
  folder: (name: string) => string,
  options: FolderOptions,
): Promise<void> {
  const { lora, ...base } = model;
  if (lora) await saveAdapter(model, folder("adapter"));
  if (lora?.config.baseModel === folder("base")) await save(base as M, folder("base"), options);
  await save(model, folder("model"), options);
}
