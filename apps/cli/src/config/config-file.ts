import { readFile } from "node:fs/promises";
import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { nearest } from "./nearest.ts";

/** A configuration that can't be used; its message names the file, the key and the way out. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

const maxBytes = 1 << 20;

/**
 * Reads a YAML (or JSON) file, applies `key.path=value` settings and checks the result against a schema.
 *
 * Values of settings are YAML too: `beta=0.3`, `lora.rank=8`, `data.train=[a.jsonl,b.jsonl]`. Throws `ConfigError` on unreadable
 * or malformed YAML, unknown keys (with a suggestion) and values that don't fit.
 */
export async function readConfig<S extends z.ZodType>(
  schema: S,
  file: string | undefined,
  settings: readonly string[] = [],
): Promise<z.infer<S>> {
  const source = file ?? "the command line";
  const tree: unknown = file ? parseYaml(await readText(file), file) : {};
  if (tree !== null && (typeof tree !== "object" || Array.isArray(tree)))
    throw new ConfigError(`${source}: a configuration is a mapping of keys to values.`);
  const config = (tree ?? {}) as Record<string, unknown>;
  for (const setting of settings) applySetting(config, setting);
  return checkConfig(schema, config, source);
}

/** Checks a parsed configuration; throws `ConfigError` with every problem on a line of its own. */
export function checkConfig<S extends z.ZodType>(schema: S, config: unknown, source: string): z.infer<S> {
  const result = schema.safeParse(config);
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap((issue) => describe(schema, issue));
  throw new ConfigError(`${source}:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
}

/** The JSON schema that editors complete a configuration from. */
export function jsonSchema(schema: z.ZodType): object {
  return z.toJSONSchema(schema, { io: "input" });
}

async function readText(file: string): Promise<string> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(
      error.code === "ENOENT" ? `${file}: no such configuration file.` : `${file}: ${error.message}`,
    );
  });
  if (bytes.length > maxBytes)
    throw new ConfigError(`${file}: larger than a megabyte; is this a configuration?`);
  return bytes.toString("utf8");
}

function parseYaml(text: string, source: string): unknown {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, uniqueKeys: true });
  const [error] = document.errors;
  if (error) {
    const { line, col } = lineCounter.linePos(error.pos[0]);
    throw new ConfigError(`${source}:${line}:${col}: ${error.message.split("\n")[0]}`);
  }
  // Aliases expand; a bound keeps a few bytes from becoming a few gigabytes.
  return document.toJS({ maxAliasCount: 100 });
}

function applySetting(config: Record<string, unknown>, setting: string): void {
  const cut = setting.indexOf("=");
  if (cut < 1) throw new ConfigError(`--set ${setting}: write it as key=value, as in --set beta=0.3.`);
  const path = setting.slice(0, cut).split(".");
  const value = parseYaml(setting.slice(cut + 1), `--set ${setting}`);
  let at = config;
  for (const key of path.slice(0, -1)) {
    if (!Object.hasOwn(at, key) || typeof at[key] !== "object" || at[key] === null)
      Object.defineProperty(at, key, { value: {}, enumerable: true, configurable: true, writable: true });
    at = at[key] as Record<string, unknown>;
  }
  Object.defineProperty(at, path.at(-1)!, { value, enumerable: true, configurable: true, writable: true });
}

function describe(schema: z.ZodType, issue: z.core.$ZodIssue): string[] {
  const where = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(schema, issue.path);
    return issue.keys.map((key) => {
      const guess = nearest(key, known);
      const full = where ? `${where}.${key}` : key;
      return `unknown key "${full}"${guess ? `; did you mean "${guess}"?` : `. Known here: ${known.join(", ")}.`}`;
    });
  }
  const message = /received undefined$/.test(issue.message)
    ? "is missing and has no default."
    : issue.message;
  return [`${where || "(root)"}: ${message}`];
}

function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let at = jsonSchema(schema) as { properties?: Record<string, object> };
  for (const key of path) at = (at.properties?.[String(key)] ?? {}) as typeof at;
  return Object.keys(at.properties ?? {}).filter((key) => key !== "$schema");
}
