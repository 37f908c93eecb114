import "@tensorflow/tfjs";
import { mkdir, writeFile } from "node:fs/promises";
import { createEncoder, createT5, disposeModel, huggingFaceTokenizer } from "@fdiv/models";
import { saveEncoder, saveT5 } from "@fdiv/models/node";
import { startBackend } from "@fdiv/tensor-core/node";
import { beforeAll, describe, expect, it } from "vitest";
import { wordTokenizerConfig, wordTokenizerJson } from "../demo/word-tokenizer.ts";
import { type RunsFolder, runsFolder } from "./kd-run.testing.ts";

let folder: RunsFolder;
const at = (name: string) => folder.at(name);
const run: RunsFolder["run"] = (...args) => folder.run(...args);

const words = ["the", "a", "cat", "dog", "is", "was", "good", "bad", "happy", "sad", "because", "so"];

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
const bit = (n: number, place: number): number => (n >> place) & 1;
const sentence = (n: number): string =>
  `${["the", "a"][bit(n, 2)]} ${["cat", "dog"][bit(n, 3)]} ${["is", "was"][bit(n, 4)]} ${tones[n % 4]} ${["", "the cat", "a dog", "the dog"][(n >> 5) % 4]}`.trim();

/** Files of three kinds of tasks: what tone a sentence has, a score by tone and article, which of two has the premise's tone. */
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
        return `${i}\t${sentence(n)}\t${sentence(n + 12)}\t${n % 2 === 0 ? 3 + bit(n, 2) : 1 - bit(n, 2)}`;
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

describe("fdiv kd with encoder-decoders", () => {
  it("fine-tunes, and distils by the Sinkhorn distance over the answers' tokens, also of answers the student writes", async () => {
    const tokenizer = huggingFaceTokenizer({
      tokenizer: wordTokenizerJson([...words, "sst2", "sentence:", "positive", "negative"]) as never,
      config: wordTokenizerConfig,
    });
    const t5 = createT5(
      {
        vocabularySize: tokenizer.vocabularySize,
        hiddenSize: 16,
        layers: 2,
        heads: 2,
        eosIds: [2],
        initializerFactor: 1,
      },
      { seed: 1, tokenizer },
    );
    await saveT5(t5, at("t5"));
    disposeModel(t5);
    const teacher = await run("t5-teacher", {
      task: task("sst2"),
      student: { model: at("t5") },
      loss: "ce",
      epochs: 8,
    });
    expect(teacher.distillation.student!.accuracy!.value).toBeGreaterThan(0.95);
    const { distillation, rows } = await run("t5-student", {
      task: task("sst2"),
      teacher: { model: at("t5-teacher/model") },
      student: { layers: 1 },
      sinkhorn: { formulation: "answer" },
      onPolicy: 0.25,
      maxTokens: 3,
      epochs: 8,
    });
    expect(distillation.student!.accuracy!.value).toBeGreaterThan(0.9);
    expect(distillation.nearness!.agreement).toBeGreaterThan(0.9);
    expect(rows.some((row) => row["terms/ce"] === 0)).toBe(true);
  });
});
