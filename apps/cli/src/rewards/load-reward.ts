import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { ConfigError } from "../config/config-file.ts";
import { sentiment } from "./sentiment.ts";

/** Scores a completion given its prompt; may be asynchronous. */
export type Reward = (completion: string, prompt: string) => number | Promise<number>;

const ready: Record<string, Reward> = {
  sentiment,
  length: (completion) => completion.split(/\s+/).filter(Boolean).length,
};

/**
 * Finds a reward by name, or imports the default export of a module named by its path.
 *
 * Throws `ConfigError` when neither exists or the module exports no function.
 */
export async function loadReward(name: string): Promise<Reward> {
  if (Object.hasOwn(ready, name)) return ready[name]!;
  const path = resolve(name);
  if (!existsSync(path))
    throw new ConfigError(
      `reward: "${name}" is neither one of ${Object.keys(ready).join(", ")} nor a module that exists.`,
    );
  const { default: reward } = (await import(pathToFileURL(path).href)) as { default?: unknown };
  if (typeof reward !== "function")
    throw new ConfigError(
      `reward: ${name} has no default export that is a function (completion, prompt) => number.`,
    );
  return reward as Reward;
}
