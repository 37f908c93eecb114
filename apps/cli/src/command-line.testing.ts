import { execFile, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createCausalLm, createT5, disposeModel, huggingFaceTokenizer } from "@fdiv/models";
import { saveCausalLm, saveT5 } from "@fdiv/models/node";
import * as tf from "@tensorflow/tfjs-core";
import { vi } from "vitest";
import { wordTokenizerConfig, wordTokenizerJson } from "./demo/word-tokenizer.ts";
import type { Session } from "./session.ts";

const entry = fileURLToPath(new URL("./main.ts", import.meta.url));

/** The arguments of Node that run the command line from its sources. */
export const commandLine = (args: readonly string[]): string[] => {
  const script = `import(${JSON.stringify(entry)}).then(({ main }) => main(${JSON.stringify(args)}))`;
  return ["--conditions=@fdiv/source", "--import", "tsx", "--eval", script];
};

export const commandEnvironment = { ...process.env, FDIV_THREADS: "2", NO_COLOR: "1" };

/** Settings as the command line takes them. */
export const flags = (settings: readonly string[]): string[] =>
  settings.flatMap((setting) => ["--set", setting]);

/** What a run has logged so far; a line that is being written is left out. */
export const rowsOf = async (run: string): Promise<Record<string, number>[]> =>
  (await readFile(join(run, "metrics.jsonl"), "utf8"))
    .trim()
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line));

const timings = new Set(["seconds", "tokensPerSecond", "examplesPerSecond", "peakMemoryMiB"]);

/** Logged rows without what is another in each run of the same. */
export const figuresOf = (rows: readonly Record<string, number>[]): Record<string, number>[] =>
  rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !timings.has(name))));

/**
 * The command line in a process of its own, sent a signal once it is ready.
 *
 * @param ready throws until it is
 * @returns its exit code, null when it was killed
 */
export async function signalled(
  args: readonly string[],
  signal: NodeJS.Signals,
  ready: () => void | Promise<void>,
  { timeout, interval = 10 }: { timeout: number; interval?: number },
): Promise<number | null> {
  const child = spawn(process.execPath, commandLine(args), { env: commandEnvironment, stdio: "ignore" });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  await vi.waitFor(ready, { timeout, interval }).finally(() => child.kill(signal));
  return ended;
}

/** A session without a voice. */
export const silentSession = (): Session => ({
  backend: { backend: tf.getBackend() } as Session["backend"],
  say: () => undefined,
  warn: () => undefined,
  progress: () => ({}),
  signal: new AbortController().signal,
  close: () => undefined,
});

/** The command line in a process of its own. */
export function fdiv(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      commandLine(args),
      { env: commandEnvironment, timeout: 200_000 },
      (error, out, err) => resolve({ code: error ? Number(error.code ?? 1) : 0, out, err }),
    );
  });
}

const words = ["the", "cat", "dog", "is", "good", "bad", "happy", "sad", "very", "a"];

export interface TinyModel {
  /** Words beyond the ten. */
  more?: readonly string[];
  layers?: number;
  hiddenSize?: number;
  seed?: number;
  /** Standard deviation of the weights; larger ones learn sooner. */
  spread?: number;
}

/** Writes a model of ten words that says anything. */
export async function saveTinyModel(
  folder: string,
  { more = [], layers = 2, hiddenSize = 16, seed = 1, spread = 0.02 }: TinyModel = {},
): Promise<void> {
  const tokenizer = huggingFaceTokenizer({
    tokenizer: wordTokenizerJson([...words, ...more]) as never,
    config: wordTokenizerConfig,
  });
  const model = createCausalLm(
    {
      modelType: "llama",
      vocabularySize: tokenizer.vocabularySize,
      hiddenSize,
      intermediateSize: 2 * hiddenSize,
      layers,
      heads: 2,
      maxPositions: 32,
      tiedHead: true,
      bosId: 1,
      eosIds: [2],
      initializerRange: spread,
    },
    { seed, tokenizer },
  );
  await saveCausalLm(model, folder, { dtype: "F32" });
  disposeModel(model);
}

/** Writes a T5 of ten words, and others, that says anything. */
export async function saveTinyT5(folder: string, { more = [] }: Pick<TinyModel, "more"> = {}): Promise<void> {
  const tokenizer = huggingFaceTokenizer({
    tokenizer: wordTokenizerJson([...words, ...more]) as never,
    config: wordTokenizerConfig,
  });
  const model = createT5(
    { vocabularySize: tokenizer.vocabularySize, hiddenSize: 16, layers: 2, heads: 2, eosIds: [2] },
    { seed: 1, tokenizer },
  );
  await saveT5(model, folder);
  disposeModel(model);
}
