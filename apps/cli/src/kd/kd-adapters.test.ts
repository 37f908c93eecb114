import "@tensorflow/tfjs";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { classify, disposeModel, type Encoder, encoderBatch } from "@fdiv/models";
import { loadEncoder, loadT5 } from "@fdiv/models/node";
import { startBackend } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { saveTinyModel, saveTinyT5 } from "../command-line.testing.ts";
import { Interrupted } from "../failure.ts";
import { saveTinyEncoder, writeTasks } from "./kd-material.testing.ts";
import { json, type RunsFolder, runsFolder } from "./kd-run.testing.ts";

let folder: RunsFolder;
const at = (name: string) => folder.at(name);
const run: RunsFolder["run"] = (...args) => folder.run(...args);

beforeAll(async () => {
  await startBackend({ backend: "wasm", threads: 1 });
  folder = await runsFolder((place) => ({
    task: { name: "sst2", folder: place("sst2"), held: 0.2 },
    batchSize: 16,
    learningRate: 0.02,
    checkpointEvery: 5,
    seed: 2,
  }));
  await saveTinyEncoder(at("base"), 3, 1);
  await saveTinyT5(at("t5"), { more: ["was", "because", "so", "sst2", "sentence:", "positive", "negative"] });
  await writeTasks(at(""));
});

const lora = { rank: 4, dropout: 0.1 };
const timings = new Set(["seconds", "tokensPerSecond", "examplesPerSecond", "peakMemoryMiB"]);
const figures = (rows: Record<string, number>[]) =>
  rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !timings.has(name))));
const weights = (name: string) => readFile(at(`${name}/model/model.safetensors`));

describe("fdiv kd with adapters, dropout and bfloat16", () => {
  it("fine-tunes an encoder by an adapter, and writes it as PEFT does beside the whole model", async () => {
    const student = { model: at("base"), lora };
    const { distillation } = await run("adapted", {
      ...{ student, loss: "ce", epochs: 12, dropout: 0, storage: "bfloat16" },
    });
    expect(distillation.student!.accuracy!.value).toBeGreaterThan(0.9);
    const config = await json(at("adapted/adapter/adapter_config.json"));
    expect(config).toMatchObject({
      task_type: "SEQ_CLS",
      target_modules: ["query", "value"],
      modules_to_save: ["pooler", "classifier"],
      lora_dropout: 0.1,
      base_model_name_or_path: at("base"),
    });
    expect(existsSync(at("adapted/base"))).toBe(false);
    const score = async (path: string) => {
      const model = await loadEncoder(path, { trainable: false, storage: "bfloat16" });
      const values = [...tf.tidy(() => classify(model, encoderBatch([{ ids: [4, 6, 8] }]))).dataSync()];
      disposeModel(model);
      return values;
    };
    const [whole, adapter] = [await score(at("adapted/model")), await score(at("adapted/adapter"))];
    for (const [i, value] of whole.entries()) expect(Math.abs(value - adapter[i]!)).toBeLessThan(0.05);
  });

  it("takes an adapter's folder for a teacher", async () => {
    const teacher = { model: at("adapted/adapter") };
    const student = { layers: [0, 2] };
    const { distillation } = await run("of-adapter", { teacher, student, loss: "js", epochs: 4, dropout: 0 });
    expect(distillation.teacher!.accuracy!.value).toBeGreaterThan(0.9);
    expect(distillation.nearness!.agreement).toBeGreaterThan(0.8);
  });

  it("goes on exactly after a stop, dropout and adapters included, and splits a step into micro-batches alike", async () => {
    const settings = { student: { model: at("base"), lora }, loss: "ce", epochs: 3, storage: "bfloat16" };
    const straight = await run("straight", settings);
    await expect(run("stopped", settings, { stopAfter: 9 })).rejects.toThrow(Interrupted);
    const stopped = await run("stopped", settings, { resume: true });
    expect(figures(stopped.rows)).toEqual(figures(straight.rows));
    expect((await weights("stopped")).equals(await weights("straight"))).toBe(true);
    const losses = (rows: Record<string, number>[]) => rows.flatMap(({ loss }) => loss ?? []);
    const split = await run("split", { ...settings, microBatchTokens: 40 });
    losses(straight.rows).forEach((loss, i) => {
      expect(losses(split.rows)[i]! / loss).toBeCloseTo(1, 3);
    });
    const still = await run("still", {
      ...settings,
      dropout: 0,
      student: { model: at("base"), lora: { rank: 4 } },
    });
    expect(losses(still.rows)[0]).not.toBeCloseTo(losses(straight.rows)[0]!, 5);
  });

  it("adapts some of a teacher's layers, whose base it keeps, after fine-tuning the teacher by an adapter", async () => {
    const fineTune = { epochs: 12, learningRate: 0.02, batchSize: 16, dropout: 0, lora: { rank: 4 } };
    const { distillation } = await run("distilled", {
      teacher: { model: at("base"), fineTune },
      student: { layers: [0, 2], lora: { rank: 4 } },
      dropout: 0.05,
      epochs: 8,
      storage: "bfloat16",
    });
    expect(distillation.teacher!.accuracy!.value).toBeGreaterThan(0.9);
    expect(distillation.nearness!.agreement).toBeGreaterThan(0.85);
    expect((await json(at("distilled/teacher/config.json"))).storage).toBe("bfloat16");
    expect(await json(at("distilled/adapter/adapter_config.json"))).toMatchObject({
      base_model_name_or_path: join(at("distilled"), "base"),
    });
    const whole: Encoder = await loadEncoder(at("distilled/model"), { trainable: false });
    const adapted: Encoder = await loadEncoder(at("distilled/adapter"), { trainable: false });
    expect(adapted.config.layers).toBe(2);
    const of = (model: Encoder) => [
      ...tf.tidy(() => classify(model, encoderBatch([{ ids: [4, 6] }]))).dataSync(),
    ];
    of(whole).forEach((value, i) => {
      expect(of(adapted)[i]!).toBeCloseTo(value, 3);
    });
    for (const model of [whole, adapted]) disposeModel(model);
  });

  it("adapts an encoder-decoder", async () => {
    const { distillation } = await run("t5-adapted", {
      student: { model: at("t5"), lora: { rank: 4, targets: ["q", "v", "wi", "wo"] } },
      ...{ loss: "ce", epochs: 10, dropout: 0.02, storage: "bfloat16" },
    });
    expect(distillation.student!.accuracy!.value).toBeGreaterThan(0.85);
    expect((await json(at("t5-adapted/adapter/adapter_config.json"))).task_type).toBe("SEQ_2_SEQ_LM");
    disposeModel(await loadT5(at("t5-adapted/adapter"), { trainable: false }));
  });

  it("refuses what would do nothing, or can't be", async () => {
    const attempt = async (settings: object): Promise<string> => {
      const given = { student: { model: at("base") }, loss: "ce", ...settings };
      return ((await run("refused", given).catch((failure) => failure)) as Error).message;
    };
    expect(await attempt({ storage: "bfloat16" })).toMatch(/every weight is trained; add student\.lora/);
    expect(await attempt({ student: { model: at("base"), lora: { targets: ["q_proj"] } } })).toMatch(
      /ends in "q_proj"; the default is query, value/,
    );
    const random = { config: { hiddenSize: 16, layers: 1, heads: 2 }, lora };
    expect(await attempt({ teacher: { model: at("base") }, student: random })).toMatch(
      /random weights can't be adapted/,
    );
    await saveTinyModel(at("decoder"), { more: ["sst2", "sentence:", "positive", "negative"] });
    expect(await attempt({ student: { model: at("decoder") }, dropout: 0.1 })).toMatch(
      /decoder-only models are trained without/,
    );
    expect(await attempt({ dropout: 1 })).toMatch(/dropout/);
    expect(existsSync(at("refused"))).toBe(false);
  });
});
