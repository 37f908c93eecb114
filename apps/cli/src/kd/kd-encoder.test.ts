import "@tensorflow/tfjs";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { startBackend } from "@fdiv/tensor-core/node";
import { beforeAll, describe, expect, it } from "vitest";
import { saveTinyT5 } from "../command-line.testing.ts";
import { saveTinyEncoder, words, writeTasks } from "./kd-material.testing.ts";
import { type RunsFolder, runsFolder } from "./kd-run.testing.ts";

let folder: RunsFolder;
const at = (name: string) => folder.at(name);
const run: RunsFolder["run"] = (...args) => folder.run(...args);

beforeAll(async () => {
  await startBackend({ backend: "wasm", threads: 1 });
  // Models as small as these lose too much to dropout.
  folder = await runsFolder(() => ({
    batchSize: 16,
    learningRate: 0.01,
    checkpointEvery: 1000,
    seed: 2,
    dropout: 0,
  }));
  await saveTinyEncoder(at("base"), 3, 1);
  await writeTasks(at(""));
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

  it("reports MNLI's mismatched split beside the matched one, of student and teacher", async () => {
    const names = ["entailment", "neutral", "contradiction"];
    const rows = (count: number, shift: number) =>
      Array.from({ length: count }, (_, i) => {
        const n = i * 5 + shift;
        return `${i}\t${words[n % 12]}\t${words[(n >> 2) % 12]}\t${names[n % 3]}`;
      });
    await mkdir(at("mnli"));
    for (const [name, count] of [
      ["train", 60],
      ["dev_matched", 12],
      ["dev_mismatched", 8],
    ] as const)
      await writeFile(
        at(`mnli/${name}.tsv`),
        ["index\tsentence1\tsentence2\tgold_label", ...rows(count, count)].join("\n"),
      );
    const tuned = { fineTune: { epochs: 1, batchSize: 16, dropout: 0, output: at("mnli-teacher") } };
    const { distillation } = await run("mnli-student", {
      task: task("mnli"),
      teacher: { model: at("base"), ...tuned },
      student: { layers: 1 },
      epochs: 1,
    });
    expect(distillation.task).toEqual({ name: "mnli", split: "validation", items: 12 });
    expect(distillation.mismatched!.items).toBe(8);
    for (const side of ["student", "teacher"] as const)
      expect((distillation.mismatched![side]!.accuracy!.value * 8) % 1).toBeCloseTo(0, 6);
    expect(folder.said.join()).toMatch(/mismatched: student accuracy .*; teacher accuracy/);
  });

  it("refuses transport over an encoder's sequences or answers before the teacher is fine-tuned", async () => {
    for (const formulation of ["sequence", "answer"]) {
      const tuned = { fineTune: { output: at("never") } };
      const attempt = run("refused-kind", {
        task: task("sst2"),
        teacher: { model: at("base"), ...tuned },
        student: { layers: 1 },
        sinkhorn: { formulation },
      });
      await expect(attempt).rejects.toThrow(/sinkhorn\.formulation: an encoder has .*take batch/);
    }
    expect(existsSync(at("never"))).toBe(false);
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
        fineTune: { epochs: 12, batchSize: 16, learningRate: 0.01, dropout: 0, output: at("tuned") },
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
    await saveTinyT5(at("t5"), {
      more: ["was", "because", "so", "sst2", "sentence:", "positive", "negative"],
    });
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
