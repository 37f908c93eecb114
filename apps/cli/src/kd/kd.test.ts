import "@tensorflow/tfjs";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startBackend } from "@fdiv/tensor-core/node";
import { beforeAll, describe, expect, it } from "vitest";
import { fdiv, rowsOf, saveTinyModel } from "../command-line.testing.ts";
import { Interrupted } from "../failure.ts";
import { json, type RunsFolder, runsFolder } from "./kd-run.testing.ts";

let folder: RunsFolder;
const at = (name: string) => folder.at(name);
const run: RunsFolder["run"] = (...args) => folder.run(...args);

/** Sentences that are positive when they say good or happy. */
function sentences(count: number, shift: number): string {
  const subjects = ["the cat", "a dog", "the dog", "a cat"];
  const words = ["good", "bad", "happy", "sad"];
  const lines = Array.from({ length: count }, (_, i) => {
    const n = i * 7 + shift;
    const very = "very ".repeat(Math.floor(n / 16) % 3);
    return `${subjects[Math.floor(n / 4) % 4]} is ${words[n % 4]} ${very}\t${n % 2 === 0 ? 1 : 0}`;
  });
  return `sentence\tlabel\n${lines.join("\n")}\n`;
}

beforeAll(async () => {
  await startBackend({ backend: "wasm", threads: 1 });
  folder = await runsFolder((place) => ({
    task: { name: "sst2", folder: place("task"), held: 0.2 },
    teacher: { model: place("teacher/model") },
    batchSize: 16,
    learningRate: 0.01,
    checkpointEvery: 5,
    seed: 3,
  }));
  const more = ["sst2", "sentence:", "answer:", "positive", "negative"];
  await saveTinyModel(at("base"), { more, layers: 3, spread: 0.3 });
  await saveTinyModel(at("other"), { more: [...more].reverse(), seed: 5, spread: 0.3 });
  await mkdir(at("task"));
  await writeFile(at("task/train.tsv"), sentences(160, 0));
  await writeFile(at("task/dev.tsv"), sentences(60, 3));
  await run("teacher", { teacher: undefined, student: { model: at("base") }, loss: "ce", epochs: 4 });
});

describe("fdiv kd", () => {
  it("distils a fine-tuned teacher by the Sinkhorn distance into some of its layers", async () => {
    const { distillation, rows } = await run("sinkhorn", { student: { layers: [0, 2] }, epochs: 4 });
    expect(distillation.teacher!.accuracy!.value).toBeGreaterThan(0.95);
    expect(distillation.student!.accuracy!.value).toBeGreaterThan(0.9);
    expect(distillation.nearness!.agreement).toBeGreaterThan(0.9);
    const steps = rows.filter((row) => row.loss !== undefined);
    for (const term of ["terms/ce", "terms/forward-kl", "terms/sinkhorn"])
      expect(steps.at(-1)![term]!).toBeLessThan(steps[0]![term]!);
    const off = rows.flatMap((row) => row["sinkhorn/row-error"] ?? []);
    expect(off).toHaveLength(steps.length);
    expect(Math.max(...off)).toBeLessThan(0.1);
    expect(folder.said.join()).not.toMatch(/row-error/);
    const evaluations = rows.filter((row) => row["eval/accuracy"] !== undefined);
    expect(evaluations.at(-1)!["eval/forward-kl"]!).toBeLessThan(0.5 * evaluations[0]!["eval/forward-kl"]!);
    const plan = distillation.plan!;
    // Unit marginals: columns were normalised last.
    for (let j = 0; j < plan.plan.length; j++)
      expect(plan.plan.reduce((sum, row) => sum + row[j]!, 0)).toBeCloseTo(1, 4);
    expect((await json(at("sinkhorn/model/config.json"))).num_hidden_layers).toBe(2);
  });

  it("logs how far plans are off, and warns once where they are far", async () => {
    const sinkhorn = { lambda: 0.005, iterations: 1 };
    const { rows } = await run("loose", { student: { layers: 1 }, steps: 2, sinkhorn });
    const off = rows.flatMap((row) => row["sinkhorn/row-error"] ?? []);
    expect(Math.min(...off)).toBeGreaterThan(0.1);
    expect(folder.said.filter((line) => /sinkhorn\/row-error: .* off by/.test(line))).toHaveLength(1);
  });

  it.each<[string, string | Record<string, number>]>([
    ["sample-wise", "sample-wise"],
    ["reverse-kl", "reverse-kl"],
    ["js", "js"],
    ["tvd", "tvd"],
    ["gjs", "gjs:0.3"],
    ["skew", "skew-kl:0.1"],
    ["mse", "mse"],
    ["mixture", { ce: 0.2, tvd: 1, sinkhorn: 0.5 }],
  ])("learns by %s", async (name, loss) => {
    const config = { hidden_size: 16, intermediate_size: 32, layers: 1, heads: 2, initializerRange: 0.3 };
    const { rows } = await run(`loss-${name}`, {
      student: { config },
      loss,
      steps: 18,
      epochs: 100,
      evaluateEvery: 18,
    });
    const distances = rows.flatMap((row) => row["eval/total-variation"] ?? []);
    expect(distances).toHaveLength(2);
    expect(distances[1]!).toBeLessThan(0.6 * distances[0]!);
  });

  it("compares over the tokens of answers alone: transport as by its own formulation, divergences by the same rule", async () => {
    const settings = { student: { layers: 1 }, steps: 12, epochs: 100, evaluateEvery: 12 };
    const transport = { ce: 0.5, sinkhorn: 1 };
    const own = await run("answers-own", {
      ...{ ...settings, loss: transport },
      sinkhorn: { formulation: "answer" },
    });
    const asked = await run("answers-asked", { ...settings, loss: transport, vocabulary: "answers" });
    const losses = (rows: Record<string, number>[]) => rows.flatMap(({ loss }) => loss ?? []);
    losses(own.rows).forEach((loss, i) => {
      expect(losses(asked.rows)[i]! / loss).toBeCloseTo(1, 4);
    });
    const terms = async (name: string, more: object) =>
      (await run(name, { ...settings, loss: "forward-kl", alpha: 0.5, ...more })).rows.flatMap(
        (row) => row["terms/forward-kl"] ?? [],
      );
    const [some, all] = [await terms("kl-answers", { vocabulary: "answers" }), await terms("kl-all", {})];
    // What the softened laws differ by on tokens that answer nothing is left out.
    expect(some[0]!).toBeLessThan(all[0]!);
    expect(some.at(-1)!).toBeLessThan(0.7 * some[0]!);
  });

  it("goes on after a stop as if nothing had been, the student's own answers and the teacher's cache included", async () => {
    const settings = (cache: string) => ({
      student: { layers: 1 },
      epochs: 3,
      onPolicy: 0.4,
      maxTokens: 3,
      sinkhorn: { formulation: "answer" },
      teacher: { model: at("teacher/model"), cache: { folder: at(cache) } },
    });
    const straight = await run("straight", settings("cache-a"));
    await expect(run("stopped", settings("cache-b"), { stopAfter: 13 })).rejects.toThrow(Interrupted);
    expect((await rowsOf(at("stopped"))).length).toBeLessThan(straight.rows.length);
    const stopped = await run("stopped", settings("cache-b"), { resume: true });
    const timings = new Set(["seconds", "tokensPerSecond", "examplesPerSecond", "peakMemoryMiB"]);
    const figures = (rows: Record<string, number>[]) =>
      rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !timings.has(name))));
    expect(figures(stopped.rows)).toEqual(figures(straight.rows));
    const weights = (name: string) => readFile(at(`${name}/model/model.safetensors`));
    expect((await weights("stopped")).equals(await weights("straight"))).toBe(true);
    expect(stopped.distillation).toEqual(straight.distillation);
    const written = straight.rows.filter((row) => row["terms/ce"] === 0);
    expect(written.length).toBeGreaterThan(3);
    const [folder] = await readdir(at("cache-a"));
    expect(await readdir(join(at("cache-a"), folder!))).toHaveLength(1);
  });

  it("keeps the likeliest tokens of a teacher alone, and learns from them", async () => {
    const teacher = { model: at("teacher/model"), cache: { folder: at("cache-k"), topK: 4 } };
    const { distillation } = await run("sparse", { student: { layers: 1 }, epochs: 4, teacher });
    expect(distillation.student!.accuracy!.value).toBeGreaterThan(0.9);
  });

  it.each(["uld", "multi-level"])("distils into another vocabulary by %s", async (loss) => {
    const { distillation, rows } = await run(loss, { student: { model: at("other") }, epochs: 4, loss });
    expect(distillation.student!.accuracy!.value).toBeGreaterThan(0.9);
    const steps = rows.flatMap((row) => row[`terms/${loss}`] ?? []);
    expect(steps.at(-1)!).toBeLessThan(0.7 * steps[0]!);
  });

  it("distils texts, sequence by sequence, the same however a step is split", async () => {
    const texts = (await readFile(at("task/train.tsv"), "utf8")).split("\n").slice(1, 80);
    const lines = texts.map((line) => JSON.stringify({ text: line.split("\t")[0]!.trim() }));
    await writeFile(at("texts.jsonl"), lines.join("\n"));
    const of = async (name: string, more: object) => {
      const { distillation, rows } = await run(name, {
        task: undefined,
        data: { train: at("texts.jsonl") },
        teacher: { model: at("base") },
        student: { layers: 2 },
        epochs: 4,
        sinkhorn: { formulation: "sequence" },
        ...more,
      });
      expect(distillation.heldOut.agreement).toBeGreaterThan(0.4);
      return { losses: rows.flatMap(({ loss }) => loss ?? []) };
    };
    const whole = await of("texts", {});
    const split = await of("texts-split", { microBatchTokens: 40 });
    expect(whole.losses.length).toBeGreaterThan(10);
    expect(whole.losses.at(-1)!).toBeLessThan(0.7 * whole.losses[0]!);
    whole.losses.forEach((loss, i) => {
      expect(split.losses[i]! / loss).toBeCloseTo(1, 3);
    });
  });

  it("fine-tunes the teacher on the way when asked, once", async () => {
    const settings = (epochs: number) => ({
      teacher: {
        model: at("base"),
        fineTune: { epochs, output: at("tuned"), batchSize: 16, learningRate: 0.01 },
      },
      student: { layers: 1 },
      epochs: 1,
    });
    folder.said.length = 0;
    await run("first", settings(1));
    expect(folder.said.join()).toMatch(/fine-tuning the teacher into/);
    expect(folder.said.join()).not.toMatch(/is there already/);
    await run("second", { ...settings(1), loss: "js", alpha: 0.7, seed: 5 });
    expect(folder.said.join()).toMatch(/the teacher is there already/);
    await expect(run("third", settings(2))).rejects.toThrow(
      /holds a teacher of another configuration.* Changed: epochs was 1, is 2\.$/,
    );
  });

  it("refuses what it can't do, in one message, before it trains", async () => {
    const attempt = async (settings: object) => {
      const error = await run("refused", { student: { layers: 1 }, ...settings }).catch((failure) => failure);
      expect(existsSync(at("refused"))).toBe(false);
      return (error as Error).message;
    };
    expect(await attempt({ student: { layers: [0, 9] } })).toMatch(/no layer 9; the model's 3 layers/);
    expect(await attempt({ loss: "forwrd-kl" })).toMatch(/no divergence "forwrd-kl".*forward-kl/s);
    expect(await attempt({ microBatchTokens: 64 })).toMatch(/another loss; leave it out/);
    expect(await attempt({ loss: "gjs:2" })).toMatch(/beta is 2/);
    const topK = { model: at("teacher/model"), cache: { folder: at("cache-k"), topK: 4 } };
    expect(await attempt({ vocabulary: "answers", teacher: topK })).toMatch(/keep all logits/);
    const foreign = { vocabulary: "answers", loss: "uld", student: { model: at("other") } };
    expect(await attempt(foreign)).toMatch(/answers other tokens/);
    expect(await attempt({ student: { model: at("other") } })).toMatch(/have other tokenizers; take uld/);
    expect(await attempt({ task: { name: "sst3", folder: at("task") } })).toMatch(/no task "sst3"/);
    const wide = { student: { config: { hidden_size: 16, layers: 1, heads: 2, width: 3 } } };
    expect(await attempt(wide)).toMatch(/student\.config: unknown key "width"/);
    expect(await attempt({ sinkhrn: { lambda: 1 } })).toMatch(/did you mean "sinkhorn"/);
    expect(await attempt({ teacher: undefined, student: { model: at("base") } })).toMatch(/needs a teacher/);
    expect(await attempt({ teacher: undefined, loss: "ce" })).toMatch(/without one give student\.model/);
    expect(await attempt({ student: { layers: 1, model: at("base") } })).toMatch(
      /one of model, layers, config/,
    );
  });

  it("is a command, whose dry run trains nothing and whose run the report shows", async () => {
    const settings = [
      `task.name=sst2`,
      `task.folder=${at("task")}`,
      `student.model=${at("base")}`,
      "loss=ce",
    ];
    const flags = [...settings, `output=${at("dry")}`].flatMap((setting) => ["--set", setting]);
    const { code, err } = await fdiv("kd", ...flags, "--dry-run");
    expect(err).toMatch(/would train \d+ steps of 32 examples/);
    expect(code).toBe(0);
    expect(existsSync(at("dry"))).toBe(false);
    expect((await fdiv("report", at("sinkhorn"), at("loss-js"), "-o", at("kd.html"))).code).toBe(0);
  });
});
