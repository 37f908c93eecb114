import { DataError, type Row } from "../row.ts";

// What the official files, their JSON and their Parquet copies call the same things.

/** The first of several names that a row has, as a text. */
export function text(row: Row, ...names: string[]): string {
  for (const name of names) {
    const value = row.fields[name];
    if (typeof value === "string") return value.trim();
  }
  const found = Object.keys(row.fields).slice(0, 12).join(", ");
  throw new DataError(`${row.source}: there is no text "${names[0]}"; the row has ${found || "no fields"}.`);
}

export function record(row: Row, value: unknown, name: string): Record<string, unknown> {
  if (value !== null && typeof value === "object" && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new DataError(`${row.source}: "${name}" is no object.`);
}

export function list(row: Row, value: unknown, name: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw new DataError(`${row.source}: "${name}" is no list.`);
}

export function string(row: Row, value: unknown, name: string): string {
  if (typeof value === "string") return value.trim();
  throw new DataError(`${row.source}: "${name}" is no text.`);
}

const isAbsent = (value: unknown): boolean => value === undefined || value === null || Number(value) === -1;

/** The index of a class that is written as its name, its number, or true and false; undefined where there is none, or −1. */
export function classOf(row: Row, value: unknown, names: readonly string[]): number | undefined {
  if (isAbsent(value)) return undefined;
  if (typeof value === "boolean") return Number(value);
  const written = String(value).trim();
  if (written === "") return undefined;
  const named = names.findIndex((name) => name.toLowerCase() === written.toLowerCase());
  if (named >= 0) return named;
  const index = Number(written);
  if (Number.isInteger(index) && index >= 0 && index < names.length) return index;
  throw new DataError(
    `${row.source}: the label is ${JSON.stringify(written.slice(0, 40))}, expected one of ${names.join(", ")}, or its number.`,
  );
}

/** A score in [0, 5]; undefined where there is none. */
export function scoreOf(row: Row, value: unknown): number | undefined {
  if (isAbsent(value) || value === "") return undefined;
  const score = Number(value);
  if (score >= 0 && score <= 5) return score;
  throw new DataError(
    `${row.source}: the score is ${JSON.stringify(String(value).slice(0, 40))}, expected a number in [0, 5].`,
  );
}

/** What identifies a row in its file. */
export function idOf(row: Row): string {
  const { idx, index, id, guid } = row.fields;
  const value = [idx, index, id, guid].find(
    (one) => typeof one === "number" || typeof one === "string" || typeof one === "bigint",
  );
  return value === undefined ? row.source : String(value);
}

export const labelled = (label: number | undefined): { label?: number } =>
  label === undefined ? {} : { label };
