import { readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { openSafetensors, type SafetensorsFile, writeSafetensors } from "@fdiv/tensor-core/node";
import type { Checkpoint, CheckpointTensor } from "../checkpoint.ts";
import { configFromHuggingFace, huggingFaceConfig } from "../families.ts";
import { neededParameters } from "../parameter-check.ts";
import { huggingFaceTokenizer } from "../tokenizer/hugging-face-tokenizer.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { writeAtomically, writeFolder, writeJson } from "./atomic-file.ts";

export type WeightType = "F32" | "F16" | "BF16";
type Json = Record<string, unknown>;

const largestJson = 1 << 28;
const indexName = "model.safetensors.index.json";
const singleName = "model.safetensors";
const shardName = /^model-\d{5}-of-\d{5}\.safetensors$/;

async function readText(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return undefined;
  if (found.size > largestJson) throw new Error(`${path}: ${found.size} bytes are too many for a JSON file`);
  return readFile(path, "utf8");
}

/** An object in a JSON file, undefined where the file is absent. @throws Error naming the file where it is no JSON object. */
export async function readJson(path: string): Promise<Json | undefined> {
  const text = await readText(path);
  if (text === undefined) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Error(`${path}: not valid JSON: ${(error as Error).message}`, { cause: error });
  }
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new Error(`${path}: not a JSON object`);
  return json as Json;
}

/** The tokenizer of a Hugging Face folder, if it has one. */
export async function openTokenizer(folder: string): Promise<Tokenizer | undefined> {
  const tokenizer = await readJson(join(folder, "tokenizer.json"));
  if (!tokenizer) return undefined;
  const config = (await readJson(join(folder, "tokenizer_config.json"))) ?? {};
  const template = await readText(join(folder, "chat_template.jinja"));
  try {
    return huggingFaceTokenizer({
      tokenizer,
      config: { ...config, ...(template !== undefined && { chat_template: template }) },
    });
  } catch (error) {
    throw new Error(`${join(folder, "tokenizer.json")}: ${(error as Error).message}`, { cause: error });
  }
}

/** Which file of a sharded checkpoint has each tensor. @throws Error where the index leads elsewhere. */
function shardsOf(index: Json, path: string): Map<string, string> {
  const map = index.weight_map;
  if (typeof map !== "object" || map === null) throw new Error(`${path}: has no weight_map`);
  const shards = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== "string" || basename(file) !== file || !/^[\w.-]+\.safetensors$/.test(file))
      throw new Error(
        `${path}: ${name} is said to be in ${JSON.stringify(file)}, which is no file of the folder`,
      );
    shards.set(name, file);
  }
  return shards;
}

async function openWeights(
  folder: string,
): Promise<{ tensors: CheckpointTensor[]; files: SafetensorsFile[] }> {
  const files: SafetensorsFile[] = [];
  const open = async (name: string) => {
    const file = await openSafetensors(join(folder, name));
    files.push(file);
    return file;
  };
  const entry = (file: SafetensorsFile, name: string, where: string): CheckpointTensor => {
    const found = file.tensors.get(name);
    if (!found)
      throw new Error(`${join(folder, where)}: lacks the tensor ${name} that ${indexName} says it has`);
    return { name, shape: [...found.shape], read: () => file.readFloat32(name) };
  };
  try {
    const has = (name: string) =>
      stat(join(folder, name)).then(
        () => true,
        () => false,
      );
    if (await has(singleName)) {
      const file = await open(singleName);
      return { tensors: [...file.tensors.keys()].map((name) => entry(file, name, singleName)), files };
    }
    const index = await readJson(join(folder, indexName));
    if (!index)
      throw new Error(
        `${folder}: has neither ${singleName} nor ${indexName}; weights of another format must be converted to safetensors first`,
      );
    const shards = shardsOf(index, join(folder, indexName));
    const opened = new Map<string, SafetensorsFile>();
    for (const name of new Set(shards.values())) {
      if (!(await has(name))) throw new Error(`${folder}: lacks ${name}, which ${indexName} names`);
      opened.set(name, await open(name));
    }
    const tensors = Array.from(shards, ([name, where]) => entry(opened.get(where)!, name, where));
    return { tensors, files };
  } catch (error) {
    await Promise.all(files.map((file) => file.close()));
    throw error;
  }
}

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

const bytesEach = { F32: 4, F16: 2, BF16: 2 };
const torchNames = { F32: "float32", F16: "float16", BF16: "bfloat16" };

/** Splits tensors, in order, into files of at most `most` bytes (more only where one tensor has more). */
function shard(tensors: CheckpointTensor[], dtype: WeightType, most: number): CheckpointTensor[][] {
  const shards: CheckpointTensor[][] = [[]];
  let bytes = 0;
  for (const tensor of tensors) {
    const size = tensor.shape.reduce((product, d) => product * d, bytesEach[dtype]);
    if (bytes > 0 && bytes + size > most) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)!.push(tensor);
    bytes += size;
  }
  return shards;
}

async function writeWeights(
  folder: string,
  tensors: CheckpointTensor[],
  dtype: WeightType,
  shardBytes: number,
): Promise<void> {
  const shards = shard(tensors, dtype, shardBytes);
  const number = (i: number) => String(i).padStart(5, "0");
  const map: Record<string, string> = {};
  for (const [i, part] of shards.entries()) {
    const file =
      shards.length === 1 ? singleName : `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    for (const { name } of part) map[name] = file;
    await writeSafetensors(
      join(folder, file),
      part.map(({ name, shape, read }) => ({ name, dtype, shape, data: read })),
      { format: "pt" },
    );
  }
  if (shards.length === 1) return;
  const total = tensors.reduce((sum, { shape }) => sum + shape.reduce((p, d) => p * d, bytesEach[dtype]), 0);
  await writeJson(join(folder, indexName), { metadata: { total_size: total }, weight_map: map });
}

/** Writes `tokenizer.json`, `tokenizer_config.json` and, where there is one, `chat_template.jinja`. */
async function writeTokenizer(folder: string, { files }: Tokenizer, maxPositions: number): Promise<void> {
  if (!files) return;
  const { chat_template: template, ...config } = files.config;
  await writeJson(join(folder, "tokenizer.json"), files.tokenizer);
  await writeJson(join(folder, "tokenizer_config.json"), {
    model_max_length: maxPositions,
    ...config,
    // Older readers know no other place.
    ...(template !== undefined && { chat_template: template }),
  });
  if (typeof template === "string") await writeAtomically(join(folder, "chat_template.jinja"), [template]);
}

export interface FolderOptions {
  /** Default F32. */
  dtype?: WeightType;
  /** Weights beyond this go into several files; default 5 GB, as Hugging Face has it. */
  shardBytes?: number;
}

/** Writes a checkpoint as a Hugging Face folder; tensors pass through memory one at a time. */
export async function writeHuggingFaceFolder(
  checkpoint: Checkpoint,
  folder: string,
  { dtype = "F32", shardBytes = 5e9 }: FolderOptions = {},
): Promise<void> {
  const { config, tokenizer, generationConfig } = checkpoint;
  const write = async (temporary: string) => {
    await writeWeights(temporary, [...checkpoint.tensors], dtype, shardBytes);
    if (tokenizer) await writeTokenizer(temporary, tokenizer, config.maxPositions);
    if (generationConfig) await writeJson(join(temporary, "generation_config.json"), generationConfig);
    const { dtype: _, ...json } = huggingFaceConfig(config);
    await writeJson(join(temporary, "config.json"), { ...json, torch_dtype: torchNames[dtype] });
  };
  await writeFolder(
    folder,
    write,
    (name) => name === singleName || name === indexName || shardName.test(name),
  );
}
