/** A JSON object that came from outside. */
export type Json = Record<string, unknown>;

const print = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
};

function wrong(key: string, expected: string, value: unknown): Error {
  return new Error(`config.json: ${key} must be ${expected}, got ${print(value)}`);
}

/**
 * A finite number, or the fallback where the key is absent or null.
 *
 * @throws when it is something else, or absent without a fallback.
 */
export function numberField(json: Json, key: string, fallback?: number): number {
  const value = json[key] ?? fallback;
  if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(key, "a number", json[key]);
  return value;
}

/** A boolean, or the fallback where the key is absent or null. */
export function booleanField(json: Json, key: string, fallback: boolean): boolean {
  const value = json[key] ?? fallback;
  if (typeof value !== "boolean") throw wrong(key, "true or false", value);
  return value;
}

/** A string, or the fallback where the key is absent or null. */
export function stringField(json: Json, key: string, fallback: string): string {
  const value = json[key] ?? fallback;
  if (typeof value !== "string") throw wrong(key, "a string", value);
  return value;
}

/** An object, or undefined where the key is absent or null. */
export function objectField(json: Json, key: string): Json | undefined {
  const value = json[key] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value !== "object" || Array.isArray(value)) throw wrong(key, "an object", value);
  return value as Json;
}

/** Token ids given as one number, a list of numbers, null or nothing. */
export function idsField(json: Json, key: string): number[] {
  const value = json[key] ?? [];
  const ids = Array.isArray(value) ? value : [value];
  if (ids.length > 1024 || !ids.every((id) => Number.isInteger(id) && id >= 0))
    throw wrong(key, "a token id or a list of them", value);
  return ids;
}

/** One token id; negative ones, which some checkpoints write for "none", count as absent. */
export function idField(json: Json, key: string): number | undefined {
  const value = json[key];
  if (typeof value === "number" && value < 0) return undefined;
  return idsField(json, key)[0];
}
