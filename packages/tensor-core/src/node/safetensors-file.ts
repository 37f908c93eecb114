import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { bytesOf, elementsOf, float32Of, type TensorData, type TensorToWrite } from "../safetensors.ts";
import {
  encodeHeader,
  headerLength,
  parseHeader,
  type SafetensorsEntry,
  SafetensorsError,
} from "../safetensors-header.ts";
import { namingFullDisk } from "./disk-full.ts";
import { syncFolder } from "./sync-folder.ts";

export interface SafetensorsFile {
  metadata: Record<string, string>;
  tensors: ReadonlyMap<string, SafetensorsEntry>;
  /** The raw elements; F16 and BF16 as 16-bit patterns. */
  read(name: string): Promise<TensorData>;
  /** The elements as float32, F16 and BF16 widened. */
  readFloat32(name: string): Promise<Float32Array>;
  close(): Promise<void>;
}

/** One read call can't take more. */
const readBytes = 1 << 30;

async function readFully(
  handle: FileHandle,
  length: number,
  position: number,
  source: string,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(bytes, at, Math.min(readBytes, length - at), position + at);
    if (bytesRead === 0)
      throw new SafetensorsError(`${source} ended at byte ${position + at} while it was read.`);
    at += bytesRead;
  }
  return bytes;
}

/**
 * Opens a safetensors file and checks its header; tensors are read one at a time, so a file larger than memory's half still loads.
 *
 * @throws SafetensorsError on anything malformed, cut or hostile
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    const length = headerLength(await readFully(handle, Math.min(8, size), 0, path), size, path);
    const { metadata, tensors } = parseHeader(await readFully(handle, length, 8, path), size, path);
    const bytesFor = async (name: string): Promise<[Uint8Array, SafetensorsEntry]> => {
      const entry = tensors.get(name);
      if (!entry) throw new SafetensorsError(`${path} holds no tensor "${name}".`);
      return [await readFully(handle, entry.byteLength, entry.byteOffset, path), entry];
    };
    return {
      metadata,
      tensors,
      async read(name) {
        const [bytes, { dtype }] = await bytesFor(name);
        return elementsOf(bytes, dtype);
      },
      async readFloat32(name) {
        const [bytes, { dtype }] = await bytesFor(name);
        return float32Of(bytes, dtype, name);
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Writes a safetensors file tensor by tensor. The header needs every name and shape first, so the entries are gathered before anything
 * is written; data given as functions is asked for one at a time. The file is complete or absent: written beside its place, synced,
 * renamed, and its folder synced; an old one stays when anything fails.
 *
 * @throws DiskFullError when it does not fit, SafetensorsError when data is not of its type and shape
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToWrite> | AsyncIterable<TensorToWrite>,
  metadata?: Record<string, string>,
): Promise<void> {
  const list: TensorToWrite[] = [];
  for await (const tensor of tensors) list.push(tensor);
  const header = encodeHeader(list, metadata);
  const beside = `${path}.${process.pid}.part`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await namingFullDisk(`${path} does not fit on it. What was there before is unchanged.`, async () => {
      const handle = await open(beside, "w");
      try {
        await handle.writeFile(header);
        for (const tensor of list)
          await handle.writeFile(
            bytesOf(tensor, typeof tensor.data === "function" ? await tensor.data() : tensor.data),
          );
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(beside, path);
    });
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}
