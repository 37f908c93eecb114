import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { bfloat16ToFloat, floatToBfloat16, floatToHalf, halfToFloat } from "@fdiv/tensor-core";
import { openSafetensors, type SafetensorsFile, writeSafetensors } from "@fdiv/tensor-core/node";
import type { CheckpointTensor } from "../checkpoint.ts";
import { writeJson } from "./atomic-file.ts";
import { readJson } from "./json-file.ts";

export type WeightType = "F32" | "F16" | "BF16";
type Json = Record<string, unknown>;

/** What transformers calls the weights of a folder; diffusers says `diffusion_pytorch_model`. */
const usualStem = "model";
const singleName = (stem: string): string => `${stem}.safetensors`;
const indexName = (stem: string): string => `${stem}.safetensors.index.json`;
const shardName = /^model-\d{5}-of-\d{5}\.safetensors$/;

/** Whether a file of a folder holds weights as they are written here. */
export const isWeightFile = (name: string): boolean =>
  name === singleName(usualStem) || name === indexName(usualStem) || shardName.test(name);

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

/**
 * Opens the safetensors of a folder, one file or shards by index; those of half precision (`fp16`) where there are no others.
 *
 * @param stem what the files are called by
 * @throws Error naming the file that is missing or wrong
 */
export async function openWeights(
  folder: string,
  stem = usualStem,
): Promise<{ tensors: CheckpointTensor[]; files: SafetensorsFile[] }> {
  const files: SafetensorsFile[] = [];
  const open = async (name: string) => {
    const file = await openSafetensors(join(folder, name));
    files.push(file);
    return file;
  };
  const entry = (file: SafetensorsFile, name: string, where: string, index: string): CheckpointTensor => {
    const found = file.tensors.get(name);
    if (!found) throw new Error(`${join(folder, where)}: lacks the tensor ${name} that ${index} says it has`);
    return {
      name,
      shape: [...found.shape],
      read: () => file.readFloat32(name),
      ...(found.dtype === "BF16" && { readBfloat16: async () => (await file.read(name)) as Uint16Array }),
    };
  };
  try {
    const has = (name: string) =>
      stat(join(folder, name)).then(
        () => true,
        () => false,
      );
    const candidates = [
      [singleName(stem), indexName(stem)],
      [`${stem}.fp16.safetensors`, `${stem}.safetensors.index.fp16.json`],
    ] as const;
    for (const [single, indexFile] of candidates) {
      if (await has(single)) {
        const file = await open(single);
        return {
          tensors: [...file.tensors.keys()].map((name) => entry(file, name, single, indexFile)),
          files,
        };
      }
      const index = await readJson(join(folder, indexFile));
      if (!index) continue;
      const shards = shardsOf(index, join(folder, indexFile));
      const opened = new Map<string, SafetensorsFile>();
      for (const name of new Set(shards.values())) {
        if (!(await has(name))) throw new Error(`${folder}: lacks ${name}, which ${indexFile} names`);
        opened.set(name, await open(name));
      }
      const tensors = Array.from(shards, ([name, where]) =>
        entry(opened.get(where)!, name, where, indexFile),
      );
      return { tensors, files };
    }
    throw new Error(
      `${folder}: has neither ${singleName(stem)} nor ${indexName(stem)}; weights of another format must be converted to safetensors first`,
    );
  } catch (error) {
    await Promise.all(files.map((file) => file.close()));
    throw error;
  }
}

const bytesEach = { F32: 4, F16: 2, BF16: 2 };

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

/** Writes tensors as safetensors, in several files beyond `shardBytes`; they pass through memory one at a time. */
export async function writeWeights(
  folder: string,
  tensors: CheckpointTensor[],
  dtype: WeightType,
  shardBytes: number,
  stem = usualStem,
): Promise<void> {
  const shards = shard(tensors, dtype, shardBytes);
  const number = (i: number) => String(i).padStart(5, "0");
  const map: Record<string, string> = {};
  for (const [i, part] of shards.entries()) {
    const file =
      shards.length === 1
        ? singleName(stem)
        : `${stem}-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    for (const { name } of part) map[name] = file;
    await writeSafetensors(
      join(folder, file),
      part.map(({ name, shape, read }) => ({ name, dtype, shape, data: read })),
      { format: "pt" },
    );
  }
  if (shards.length === 1) return;
  const total = tensors.reduce((sum, { shape }) => sum + shape.reduce((p, d) => p * d, bytesEach[dtype]), 0);
  await writeJson(join(folder, indexName(stem)), { metadata: { total_size: total }, weight_map: map });
}

/** Tensors whose values are rounded to a precision as they are read. */
export function roundedTensors(tensors: Iterable<CheckpointTensor>, dtype: WeightType): CheckpointTensor[] {
  if (dtype === "F32") return [...tensors];
  const round =
    dtype === "F16"
      ? (values: Float32Array) => halfToFloat(floatToHalf(values))
      : (values: Float32Array) => bfloat16ToFloat(floatToBfloat16(values));
  return Array.from(tensors, ({ name, shape, read }) => ({
    name,
    shape,
    read: async () => round(await read()),
  }));
}

/** Runs f on the tensors of a folder's safetensors, and closes them. */
export async function withWeights<T>(
  folder: string,
  f: (tensors: CheckpointTensor[]) => Promise<T>,
  stem = usualStem,
): Promise<T> {
  const { tensors, files } = await openWeights(folder, stem);
  try {
    return await f(tensors);
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}
