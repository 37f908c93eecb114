import "@tensorflow/tfjs";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { commandEnvironment, commandLine, fdiv, saveTinyModel } from "../command-line.testing.ts";

let place: string;
const flags = (settings: readonly string[]) => settings.flatMap((setting) => ["--set", setting]);
const common = () => [
  `model=${join(place, "model")}`,
  "maxTokens=6",
  "steps=60",
  "learningRate=0.03",
  "samplesPerPrompt=96",
  "partition.samples=512",
  "evaluationSamples=400",
  "samplesEvery=20",
  "checkpointEvery=10",
];
const rowsOf = async (run: string): Promise<Record<string, number>[]> =>
  (await readFile(join(run, "metrics.jsonl"), "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

beforeAll(async () => {
  await tf.setBackend("cpu");
  place = await mkdtemp(join(tmpdir(), "fdiv-dpg-"));
  await saveTinyModel(join(place, "model"));
});

describe("fdiv dpg", () => {
  it("comes near a target that wants a word, measures it, and its model says the word", async () => {
    const run = join(place, "happy");
    const settings = [...common(), "target.times=[{ word: happy }]", "divergence=js", `output=${run}`];
    const { code, err } = await fdiv("dpg", ...flags(settings));
    expect(err).toMatch(/done: /);
    expect(code).toBe(0);
    const { policy, base, logPartition, acceptance } = JSON.parse(
      await readFile(join(run, "evaluation.json"), "utf8"),
    );
    const name = 'contains "happy"';
    expect(base.moments[name].value).toBeLessThan(0.6);
    expect(policy.moments[name].value).toBeGreaterThan(0.85);
    // KL(p‖a) = −log Z of a pointwise constraint: the base is as far from the target as it is unlikely to meet it.
    const distance = -Math.log(base.moments[name].value);
    expect(Math.abs(base.measures.forwardKl.value + logPartition[0].logZ)).toBeLessThan(0.02);
    expect(Math.abs(base.measures.forwardKl.value - distance)).toBeLessThan(0.15);
    const [all, , , , , , , , , , , few] = acceptance;
    expect(all.acceptanceRate).toBeGreaterThan(few.acceptanceRate + 0.5);
    expect(few.forwardKl).toBeLessThan(all.forwardKl);
    expect(few.exact).toBe(true);
    expect(policy.measures.jensenShannon.value).toBeLessThan(0.5 * base.measures.jensenShannon.value);
    const rows = await rowsOf(run);
    expect(rows).toHaveLength(60);
    expect(rows[0]!["kl-to-base"]).toBeCloseTo(0, 5);
    expect(rows.at(-1)!["log-z/low"]).toBeLessThan(-distance + 0.2);
    expect(rows.at(-1)!["log-z/high"]).toBeGreaterThan(-distance - 0.2);
    const samples = (await readFile(join(run, "samples.jsonl"), "utf8")).trim().split("\n");
    expect(samples).toHaveLength(12);
    expect((await fdiv("report", run, "-o", join(place, "dpg.html"))).code).toBe(0);
  });

  it("fits moments under prompts, and goes on after Ctrl-C as if nothing had been", async () => {
    await writeFile(join(place, "prompts.txt"), "the cat is\na dog is\n");
    const settings = (output: string) =>
      flags([
        ...common(),
        "target.constrain=[{ feature: { words: [good, happy], name: nice }, moment: 0.8 }]",
        `prompts=${join(place, "prompts.txt")}`,
        "divergence=forward-kl",
        "proposal=adaptive",
        "samplesPerPrompt=24",
        `output=${output}`,
      ]);
    const [straight, stopped] = [join(place, "straight"), join(place, "stopped")];
    const whole = await fdiv("dpg", ...settings(straight));
    expect(whole.err).toMatch(
      /moments fitted on \d+ samples[\s\S]*nice: 0\.\d+ under the base, 0\.8000 as fitted/,
    );
    expect(whole.code).toBe(0);
    const child = spawn(process.execPath, commandLine(["dpg", ...settings(stopped)]), {
      env: commandEnvironment,
      stdio: "ignore",
    });
    await vi.waitFor(async () => expect((await rowsOf(stopped)).length).toBeGreaterThan(23), {
      timeout: 40_000,
      interval: 20,
    });
    child.kill("SIGINT");
    const code = await new Promise((resolve) => child.once("exit", resolve));
    expect(code).toBe(130);
    expect((await rowsOf(stopped)).length).toBeLessThan(60);
    expect((await fdiv("dpg", stopped, "--resume")).code).toBe(0);
    const timings = new Set(["seconds", "tokensPerSecond", "examplesPerSecond", "peakMemoryMiB"]);
    const figures = (rows: Record<string, number>[]) =>
      rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !timings.has(name))));
    const rows = figures(await rowsOf(straight));
    expect(rows.some((row) => row["proposal-changed"] === 1)).toBe(true);
    expect(figures(await rowsOf(stopped))).toEqual(rows);
    const weights = (run: string) => readFile(join(run, "model", "model.safetensors"));
    expect((await weights(stopped)).equals(await weights(straight))).toBe(true);
    const { policy, base } = JSON.parse(await readFile(join(straight, "evaluation.json"), "utf8"));
    const gap = (from: typeof policy) => Math.abs(0.8 - from.moments.nice.value);
    expect(gap(policy)).toBeLessThan(0.7 * gap(base));
  });

  it("trains an adapter, and the adapter switched off is the base", async () => {
    const run = join(place, "adapter");
    const settings = ["steps=4", "lora.rank=4", "target.tilt={ reward: { word: happy }, beta: 0.5 }"];
    const { code } = await fdiv(
      "dpg",
      ...flags([...common(), ...settings, "divergence=reverse-kl", `output=${run}`]),
    );
    expect(code).toBe(0);
    const rows = await rowsOf(run);
    expect(rows[0]!["kl-to-base"]).toBeCloseTo(0, 5);
    expect(rows[3]!["kl-to-base"]).not.toBeCloseTo(0, 5);
    expect(existsSync(join(run, "adapter", "adapter_model.safetensors"))).toBe(true);
  });

  it("refuses what it can't do, in one message, before it trains", async () => {
    const attempt = async (...settings: string[]) => {
      const output = join(place, "refused");
      const { code, err } = await fdiv("dpg", ...flags([...common(), `output=${output}`, ...settings]));
      expect(code).toBe(1);
      expect(existsSync(output)).toBe(false);
      expect(err).not.toMatch(/ at .*\.ts:\d/);
      return err;
    };
    expect(await attempt("target.times=[{ word: happy }]", "divergence=reverse-kl")).toMatch(/f′\(∞\) = ∞/);
    expect(await attempt("target.times=[]")).toMatch(/the target is the base itself/);
    expect(await attempt("target.times=[{ word: a, regex: b }]")).toMatch(/one of word, words/);
    expect(await attempt("target.times=[{ regex: '(' }]")).toMatch(/regex: /);
    expect(await attempt("target.constrain=[{ feature: { word: zebra }, moment: 0.5 }]")).toMatch(
      /is 0 in all of \d+ samples/,
    );
  });
});
