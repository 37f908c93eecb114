import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { namingFullDisk } from "@fdiv/tensor-core/node";
import { writeDurably } from "@fdiv/trainer/node";

/** A text of the policy; with the step after which it was drawn, or without one when it belongs to the last evaluation. */
export interface LoggedSample {
  step?: number;
  prompt: string;
  completion: string;
  reward?: number;
  logProb?: number;
}

const pathOf = (run: string): string => join(run, "samples.jsonl");
const stepOf = (line: string): number | undefined => {
  const found = /^\{"step":(\d+)[,}]/.exec(line);
  return found ? Number(found[1]) : undefined;
};

async function linesOf(run: string): Promise<string[]> {
  const text = await readFile(pathOf(run), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  return text.split("\n").filter(Boolean);
}

const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");
const encode = ({ step, prompt, completion, reward, logProb }: LoggedSample): string =>
  JSON.stringify({ step, prompt, completion, reward, logProb });

/** Adds texts drawn during training to a run's samples.jsonl. */
export async function logSamples(run: string, samples: readonly LoggedSample[]): Promise<void> {
  const path = pathOf(run);
  await namingFullDisk(
    `${path} can't grow. The checkpoints written before are whole; free some room and resume.`,
    () => appendFile(path, text(samples.map(encode))),
  );
}

/** Drops what a run wrote after the checkpoint that it continues from; −1 drops all that has a step. */
export async function cutSamples(run: string, step: number): Promise<void> {
  const lines = await linesOf(run);
  const kept = lines.filter((line) => (stepOf(line) ?? -1) <= step);
  if (kept.length < lines.length) await writeDurably(pathOf(run), text(kept));
}

/** Puts the texts of an evaluation in place of those of the one before; what training logged stays. */
export async function writeEvaluationSamples(run: string, samples: readonly LoggedSample[]): Promise<void> {
  const logged = (await linesOf(run)).filter((line) => stepOf(line) !== undefined);
  await writeDurably(pathOf(run), text([...logged, ...samples.map(encode)]));
}
