import { open } from "node:fs/promises";
import type { SafetensorsEntry } from "@fdiv/tensor-core";
import { openSafetensors } from "@fdiv/tensor-core/node";

const largestJson = 1 << 20;

/** @throws Error where there is no JSON object, or more than a configuration could be, which is not read */
export async function readJson(path: string): Promise<Record<string, unknown>> {
  const handle = await open(path);
  let text: string;
  try {
    const { size } = await handle.stat();
    if (size > largestJson) throw new Error(`${path} has ${size} bytes; no configuration is that long.`);
    text = await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Error(`${path} is no JSON: ${(error as Error).message}`);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new Error(`${path} holds no JSON object.`);
  return json as Record<string, unknown>;
}

/**
 * A safetensors file's bytes, read once its header has passed: what it holds is as large as the network says, or nothing of it is read.
 *
 * @param check throws on tensors that the network does not have
 */
export async function readWeights(
  path: string,
  check: (tensors: ReadonlyMap<string, SafetensorsEntry>) => void,
): Promise<Uint8Array> {
  const file = await openSafetensors(path);
  await file.close();
  check(file.tensors);
  const handle = await open(path);
  try {
    return new Uint8Array(await handle.readFile());
  } finally {
    await handle.close();
  }
}
