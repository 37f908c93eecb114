import "@tensorflow/tfjs";
import { mkdir, writeFile } from "node:fs/promises";
import { createEncoder, disposeModel, huggingFaceTokenizer } from "@fdiv/models";
import { saveEncoder } from "@fdiv/models/node";
import { startBackend } from "@fdiv/tensor-core/node";
import { beforeAll, describe, expect, it } from "vitest";
import { wordTokenizerConfig, wordTokenizerJson } from "../demo/word-tokenizer.ts";
import { type RunsFolder, runsFolder } from "./kd-run.testing.ts";

let folder: RunsFolder;
const at = (name: string) => folder.at(name);
const run: RunsFolder["run"] = (...args) => folder.run(...args);

const words = ["the", "cat", "dog", "is", "good", "bad", "happy", "sad", "because", "so", "runs", "sleeps"];

async function saveTinyEncoder(
  path: string,
  layers: number,
  seed: number,
  vocabulary = words,
): Promise<void> {
  const tokenizer = huggingFaceTokenizer({
    tokenizer: wordTokenizerJson(vocabulary) as never,
    config: wordTokenizerConfig,
  });
  const encoder = createEncoder(
    {
      modelType: "bert",
      vocabularySize: tokenizer.vocabularySize,
      hiddenSize: 16,
      intermediateSize: 32,
      layers,
      heads: 2,
      positions: 24,
      initializerRange: 0.3,
    },
    { seed, tokenizer },
  );
  await saveEncoder(encoder, path);
  disposeModel(encoder);
}

const tones = ["good", "bad", "happy", "sad"];
const sentence = (n: number): string => `the ${n % 8 < 4 ? "cat" : "dog"} is ${tones[n % 4]}`;

/** Files of three kinds of tasks, all about whether tones agree. */
async function writeTasks(): Promise<void> {
  const numbers = (count: number, shift: number) => Array.from({ length: count }, (_, i) => i * 5 + shift);
  const write = async (task: string, file: string, rows: string[]) => {
    await mkdir(at(task), { recursive: true });
    await writeFile(at(`${task}/${file}`), `${rows.join("\n")}\n`);
  };
  for (const [split, count, shift] of [
    ["train", 160, 0],
    ["dev", 48, 2],
  ] as const) {
    const ns = numbers(count, shift);
    await write("sst2", `${split}.tsv`, [
      "sentence\tlabel",
      ...ns.map((n) => `${sentence(n)}\t${1 - (n % 2)}`),
    ]);
    await write("stsb", `${split}.tsv`, [
      "index\tsentence1\tsentence2\tscore",
      ...ns.map((n, i) => {
        const m = Math.floor(n / 3);
        return `${i}\t${sentence(n)}\t${sentence(m)}\t${n % 2 === m % 2 ? 4.5 : 0.5}`;
      }),
    ]);
    await write(
      "copa",
      `${split === "dev" ? "val" : split}.jsonl`,
      ns.map((n, i) => {
        const right = sentence(2 * n + (n % 2));
        const wrong = sentence(2 * n + 1 - (n % 2));
        const label = Math.floor(n / 2) % 2;
        const [choice1, choice2] = label === 0 ? [right, wrong] : [wrong, right];
        return JSON.stringify({ premise: sentence(n), choice1, choice2, question: "cause", label, idx: i });
      }),
    );
  }
}

beforeAll(async () => {
  await startBackend({ backend: "wasm", threads: 1 });
  folder = await runsFolder(() => ({ batchSize: 16, learningRate: 0.01, checkpointEvery: 1000, seed: 2 }));
  await saveTinyEncoder(at("base"), 3, 1);
  await writeTasks();
});

const task = (name: string) => ({ name, folder: at(name), held: 0.2 });

describe("fdiv kd with encoders", () => {
  it("fine-tunes a fresh head, and distils it by the Sinkhorn distance into some of the layers", async () => {
    const teacher = await run("teacher", {
      task: task("sst2"),
      student: { model: at("base") },
      loss: "ce",
      epochs: 6,
    });
    expect(teacher.distillation.student!.accuracy!.value).toBeGreaterThan(0.95);
    const { distillation, rows } = await run("student", {
      task: task("sst2"),
      teacher: { model: at("teacher/model") },
      student: { layers: [0, 2] },
      epochs: 4,
    });
    expect(distillation.student!.accuracy!.value).toBeGreaterThan(0.9);
    expect(distillation.nearness!.agreement).toBeGreaterThan(0.9);
    expect(distillation.plan!.plan).toHaveLength(24);
    const terms = rows.flatMap((row) => row["terms/sinkhorn"] ?? []);
    expect(terms.at(-1)!).toBeLessThan(terms[0]!);
  });

  it("teaches a student of another vocabulary, since classes are what they share", async () => {
    await saveTinyEncoder(at("other"), 1, 7, [...words].reverse());
    const { distillation } = await run("foreign", {
      task: task("sst2"),
      teacher: { model: at("teacher/model") },
      student: { model: at("other") },
      loss: "js",
      epochs: 4,
    });
    expect(distillation.student!.accuracy!.value).toBeGreaterThan(0.9);
  });

  it("learns scores of a regression by the teacher's, and refuses distributions there", async () => {
    const settings = {
      task: task("stsb"),
      teacher: {
        model: at("base"),
        fineTune: { epochs: 12, batchSize: 16, learningRate: 0.01, output: at("tuned") },
      },
      student: { layers: [0, 2] },
      epochs: 6,
    };
    const { distillation } = await run("scores", { ...settings, loss: "mse" });
    expect(distillation.teacher!.pearson!.value).toBeGreaterThan(0.8);
    expect(distillation.student!.pearson!.value).toBeGreaterThan(0.6);
    expect(distillation.nearness).toBeUndefined();
    await expect(run("refused", { ...settings, loss: "js" })).rejects.toThrow(
      /this task is a regression; take ce/,
    );
  });

  it("judges a choice by its candidates", async () => {
    const { distillation } = await run("choice", {
      task: task("copa"),
      student: { model: at("base") },
      loss: "ce",
      epochs: 12,
    });
    expect(distillation.student!.accuracy!.value).toBeGreaterThan(0.8);
  });

  it("says what a teacher lacks", async () => {
    const settings = { task: task("sst2"), student: { layers: 1 } };
    await expect(run("headless", { ...settings, teacher: { model: at("base") } })).rejects.toThrow(
      /has no head for sst2; fine-tune it first/,
    );
    const texts = { task: undefined, data: { train: "x.jsonl" }, student: { layers: 1 } };
    await expect(run("texts", { ...texts, teacher: { model: at("base") } })).rejects.toThrow(
      /an encoder, which predicts no texts/,
    );
  });
});
