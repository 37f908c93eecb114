import { readFile, stat } from "node:fs/promises";

type Json = Record<string, unknown>;

const largestJson = 1 << 28;

/** A text file, undefined where it is absent. @throws Error where it is too large for what it should hold. */
export async function readText(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return undefined;
  if (found.size > largestJson)
    throw new Error(`${path}: ${found.size} bytes are too many for a file of this kind`);
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
