import { stat } from "node:fs/promises";
import { join } from "node:path";
import { readJson } from "./json-file.ts";
import { type HubSettings, localPath } from "./open-checkpoint.ts";

/** The `config.json` of a Hugging Face folder, or of an `hf:` reference, and the folder on this machine. */
export async function openModelFolder(
  pathOrReference: string,
  hub?: HubSettings,
): Promise<{ folder: string; json: Record<string, unknown> }> {
  const folder = await localPath(pathOrReference, hub);
  const found = await stat(folder).catch(() => undefined);
  if (!found?.isDirectory())
    throw new Error(`${folder}: no such folder; a model on the hub is written hf:owner/name`);
  const json = await readJson(join(folder, "config.json"));
  if (!json) throw new Error(`${folder}: has no config.json, so it is no Hugging Face model folder`);
  return { folder, json };
}
