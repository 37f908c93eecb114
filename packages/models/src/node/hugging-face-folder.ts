import { join } from "node:path";
import type { Checkpoint } from "../checkpoint.ts";
import { configFromHuggingFace, huggingFaceConfig } from "../families.ts";
import { neededParameters } from "../parameter-check.ts";
import { readJson } from "./json-file.ts";
import { type FolderOptions, writeModelFolder } from "./model-folder.ts";
import { openTokenizer } from "./tokenizer-folder.ts";
import { openWeights } from "./weights-folder.ts";

type Json = Record<string, unknown>;

function endsIn(generationConfig: Json | undefined): number[] {
  const ends = generationConfig?.eos_token_id;
  return (Array.isArray(ends) ? ends : [ends]).filter((id) => Number.isInteger(id) && id >= 0);
}

/**
 * Opens a Hugging Face folder: `config.json`, weights in one safetensors file or sharded, and what is there of
 * `generation_config.json`, `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja`.
 *
 * @throws Error naming the file that is missing or wrong.
 */
export async function openHuggingFaceFolder(folder: string): Promise<Checkpoint> {
  const json = await readJson(join(folder, "config.json"));
  if (!json) throw new Error(`${folder}: has no config.json, so it is no Hugging Face model folder`);
  const read = configFromHuggingFace(json);
  const [tokenizer, generationConfig] = [
    await openTokenizer(folder),
    await readJson(join(folder, "generation_config.json")),
  ];
  // Models that talk often name the token that ends a turn in generation_config.json alone.
  const config = { ...read, eosIds: [...new Set([...read.eosIds, ...endsIn(generationConfig)])] };
  const { tensors, files } = await openWeights(folder);
  return {
    config,
    tensors: neededParameters(config, tensors).map(({ name, tensor }) => ({ ...tensor, name })),
    ...(tokenizer && { tokenizer }),
    ...(generationConfig && { generationConfig }),
    close: async () => {
      await Promise.all(files.map((file) => file.close()));
    },
  };
}

/** Writes a checkpoint as a Hugging Face folder; tensors pass through memory one at a time. */
export async function writeHuggingFaceFolder(
  checkpoint: Checkpoint,
  folder: string,
  options: FolderOptions = {},
): Promise<void> {
  const { config, tokenizer, generationConfig } = checkpoint;
  const json = huggingFaceConfig(config);
  const tensors = [...checkpoint.tensors];
  const { maxPositions: maxLength } = config;
  await writeModelFolder(folder, { json, tensors, tokenizer, generationConfig, maxLength }, options);
}
