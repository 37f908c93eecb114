import { open, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Checkpoint } from "../checkpoint.ts";
import { openGguf } from "../gguf/checkpoint.ts";
import { openLlama2c } from "../llama2c.ts";
import { openFileSource } from "./file-source.ts";
import { downloadHub, type HubOptions } from "./hub.ts";
import { parseHubReference } from "./hub-reference.ts";
import { openHuggingFaceFolder } from "./hugging-face-folder.ts";

export type HubSettings = Omit<HubOptions, "kind" | "repo" | "revision" | "files">;

export interface OpenOptions {
  /** The `tokenizer.bin` of a llama2.c model; default `tokenizer.bin` or `tok512.bin` and the like beside it. */
  tokenizer?: string;
  /** How the hub is reached, for `hf:` references. */
  hub?: HubSettings;
}

const small = [
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "chat_template.jinja",
  "adapter_config.json",
  "vocab.txt",
  "vocab.json",
  "merges.txt",
  "spiece.model",
];

/** Which of a repository's files a model needs. @throws Error where its weights are in no format that can be read. */
export function modelFiles(paths: string[]): string[] {
  const has = new Set(paths);
  const shards = paths.filter((path) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(path));
  const index = "model.safetensors.index.json";
  const weights = has.has("model.safetensors")
    ? ["model.safetensors"]
    : has.has(index)
      ? [index, ...shards]
      : has.has("adapter_model.safetensors")
        ? ["adapter_model.safetensors"]
        : [];
  if (weights.length > 0) return [...small.filter((path) => has.has(path)), ...weights];
  const gguf = paths.filter((path) => path.endsWith(".gguf"));
  throw new Error(
    gguf.length > 0
      ? `the repository holds GGUF files; add one's name to the reference: ${gguf.slice(0, 20).join(", ")}`
      : "the repository has no weights in safetensors or GGUF",
  );
}

/** A path on this machine for a path or an `hf:` reference, downloaded if need be. */
export async function localPath(pathOrReference: string, hub: HubSettings = {}): Promise<string> {
  if (!pathOrReference.startsWith("hf:")) return pathOrReference;
  const { path, ...reference } = parseHubReference(pathOrReference);
  if (reference.kind !== "model") throw new Error(`${pathOrReference} is a data set, not a model`);
  const select = (paths: string[]) => {
    try {
      return path ? [path] : modelFiles(paths);
    } catch (error) {
      throw new Error(`${pathOrReference}: ${(error as Error).message}`);
    }
  };
  const { folder } = await downloadHub({ ...hub, ...reference, files: select });
  return path ? join(folder, ...path.split("/")) : folder;
}

async function tokenizerBeside(path: string, given: string | undefined) {
  const candidates = given
    ? [given]
    : ["tokenizer.bin", "tok512.bin"].map((name) => join(dirname(path), name));
  for (const candidate of candidates) {
    const found = await stat(candidate).catch(() => undefined);
    if (!found && given) throw new Error(`${given}: no such tokenizer file`);
    if (!found) continue;
    if (found.size > 1 << 28) throw new Error(`${candidate}: too large for a tokenizer`);
    return { bytes: await readFile(candidate), name: candidate };
  }
  return undefined;
}

async function startsWith(path: string, text: string): Promise<boolean> {
  const handle = await open(path, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(text.length), 0, text.length, 0);
    return buffer.toString("latin1", 0, bytesRead) === text;
  } finally {
    await handle.close();
  }
}

/**
 * Opens a model at rest: a Hugging Face folder, a `.gguf` or llama2.c `.bin` file, or `hf:owner/name[@revision][/file]`.
 * Close it when done.
 *
 * @throws Error saying what was found instead.
 */
export async function openCheckpoint(
  pathOrReference: string,
  options: OpenOptions = {},
): Promise<Checkpoint> {
  const path = await localPath(pathOrReference, options.hub);
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new Error(`${path}: no such file or folder; a model on the hub is written hf:owner/name`);
  if (found.isDirectory()) return openHuggingFaceFolder(path);
  const gguf = path.endsWith(".gguf") || (await startsWith(path, "GGUF"));
  if (!gguf && !path.endsWith(".bin"))
    throw new Error(`${path}: not a model; expected a Hugging Face folder, a .gguf or a llama2.c .bin file`);
  const source = await openFileSource(path);
  try {
    if (gguf) return await openGguf(source);
    return await openLlama2c(source, await tokenizerBeside(path, options.tokenizer));
  } catch (error) {
    await source.close!();
    throw error;
  }
}
