import "@tensorflow/tfjs";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadCausalLm, loadValueHead } from "@fdiv/models/node";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { commandEnvironment, commandLine, fdiv, saveTinyModel } from "../command-line.testing.ts";

let place: string;
const flags = (settings: readonly string[]) => settings.flatMap((setting) => ["--set", setting]);
const common = () => [
  `model=${join(place, "model")}`,
  "reward={ words: { happy: 1, good: 1, sad: -1, bad: -1 } }",
  "maxTokens=5",
  "steps=10",
  "epochs=2",
  "minibatch=16",
  "learningRate=0.03",
  "samplesPerPrompt=32",
  "evaluationSamples=200",
  "samplesEvery=5",
  "checkpointEvery=5",
];
const rowsOf = async (run: string): Promise<Record<string, number>[]> =>
  (await readFile(join(run, "metrics.jsonl"), "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

beforeAll(async () => {
  await tf.setBackend("cpu");
  place = await mkdtemp(join(tmpdir(), "fdiv-ppo-"));
  await saveTinyModel(join(place, "model"));
});

describe("fdiv ppo", () => {
  it("raises the reward, says how far the model went for it, and leaves model and value head", async () => {
    const run = join(place, "happy");
    const { code, err } = await fdiv("ppo", ...flags([...common(), `output=${run}`]));
    expect(err).toMatch(/done: /);
    expect(code).toBe(0);
    const evaluation = JSON.parse(await readFile(join(run, "evaluation.json"), "utf8"));
    expect(evaluation.reward.value).toBeGreaterThan(evaluation.base.reward.value + 0.5);
    expect(evaluation.klToReference.value).toBeGreaterThan(0.2);
    expect(evaluation.entropy.value).toBeLessThan(evaluation.base.entropy.value);
    const rows = await rowsOf(run);
    expect(rows).toHaveLength(10);
    expect(rows[0]!["kl-to-base"]).toBeCloseTo(0, 5);
    const last = rows.slice(-3).reduce((sum, { reward }) => sum + reward! / 3, 0);
    expect(last).toBeGreaterThan(rows[0]!.reward! + 0.5);
    const samples = (await readFile(join(run, "samples.jsonl"), "utf8")).trim().split("\n");
    expect(samples.filter((line) => line.startsWith('{"step":'))).toHaveLength(8);
    expect(samples.filter((line) => line.includes('"reward":'))).toHaveLength(200);
    const head = await loadValueHead(await loadCausalLm(join(run, "model")), join(run, "value"));
    expect(
      head.parameters
        .get("v_head.weight")!
        .dataSync()
        .some((x) => x !== 0),
    ).toBe(true);
    expect((await fdiv("report", run, "-o", join(place, "ppo.html"))).code).toBe(0);
  });

  it("goes on after kill -9 as if nothing had been, with a trunk of its own and a steered penalty in the loss", async () => {
    const settings = (output: string) =>
      flags([
        ...common(),
        "prompts=[the cat is, a dog is]",
        "divergence=jensen-shannon",
        "penalty={ place: loss, coefficient: 0.5, target: 0.1, horizon: 200 }",
        "value.trunk=separate",
        "samplesPerPrompt=6",
        "minibatch=6",
        "checkpointEvery=2",
        `output=${output}`,
      ]);
    const [straight, stopped] = [join(place, "straight"), join(place, "stopped")];
    expect((await fdiv("ppo", ...settings(straight))).code).toBe(0);
    const child = spawn(process.execPath, commandLine(["ppo", ...settings(stopped)]), {
      env: commandEnvironment,
      stdio: "ignore",
    });
    await vi.waitFor(async () => expect((await rowsOf(stopped)).length).toBeGreaterThan(4), {
      timeout: 40_000,
      interval: 20,
    });
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
    expect((await rowsOf(stopped)).length).toBeLessThan(10);
    expect((await fdiv("ppo", stopped, "--resume")).code).toBe(0);
    const timings = new Set(["seconds", "tokensPerSecond", "peakMemoryMiB"]);
    const figures = (rows: Record<string, number>[]) =>
      rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !timings.has(name))));
    const rows = figures(await rowsOf(straight));
    expect(new Set(rows.map(({ coefficient }) => coefficient)).size).toBeGreaterThan(5);
    expect(figures(await rowsOf(stopped))).toEqual(rows);
    for (const file of [
      "model/model.safetensors",
      "value/value_head.safetensors",
      "value/trunk/model.safetensors",
    ]) {
      const [one, other] = await Promise.all([straight, stopped].map((run) => readFile(join(run, file))));
      expect(one!.equals(other!), file).toBe(true);
    }
  });

  it("trains an adapter, held to the model without it", async () => {
    const run = join(place, "adapter");
    const { code } = await fdiv(
      "ppo",
      ...flags([...common(), "steps=3", "lora.rank=4", "value.trunk=separate", `output=${run}`]),
    );
    expect(code).toBe(0);
    const rows = await rowsOf(run);
    expect(rows[0]!["kl-to-base"]).toBeCloseTo(0, 5);
    expect(rows[2]!["kl-to-base"]).not.toBeCloseTo(0, 5);
    expect(existsSync(join(run, "adapter", "adapter_model.safetensors"))).toBe(true);
  });

  it("refuses what it can't do, in one message, before it trains", async () => {
    const attempt = async (...settings: string[]) => {
      const output = join(place, "refused");
      const { code, err } = await fdiv("ppo", ...flags([...common(), `output=${output}`, ...settings]));
      expect(code).toBe(1);
      expect(existsSync(output)).toBe(false);
      expect(err).not.toMatch(/ at .*\.ts:\d/);
      return err;
    };
    expect(await attempt("divergence=moon")).toMatch(/moon/);
    expect(await attempt("penalty.coefficient=0")).toMatch(/penalty.coefficient/);
    expect(await attempt("kl=0.1")).toMatch(/unknown key "kl"/);
    expect(await attempt("reward={}")).toMatch(/one of word, words/);
    expect(await attempt("reward={ module: ./nothing.mjs }")).toMatch(/nothing\.mjs/);
  });

  it("prints its schema, and what it would do", async () => {
    const schema = JSON.parse((await fdiv("ppo", "--schema")).out);
    expect(Object.keys(schema.properties)).toContain("penalty");
    const { err, code } = await fdiv(
      "ppo",
      "--dry-run",
      ...flags([...common(), `output=${join(place, "dry")}`]),
    );
    expect(err).toMatch(/would take 10 steps/);
    expect(code).toBe(0);
    expect(existsSync(join(place, "dry"))).toBe(false);
  });
});
