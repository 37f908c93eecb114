import "@tensorflow/tfjs";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { startBackend } from "@fdiv/tensor-core/node";
import { beforeAll, describe, expect, it } from "vitest";
import { fdiv, saveTinyModel, saveTinyT5 } from "../command-line.testing.ts";
import { type PolicyCommand, policyCommand } from "../policy-command.testing.ts";

let dpg: PolicyCommand;

beforeAll(async () => {
  await startBackend({ backend: "wasm", threads: 1 });
  dpg = await policyCommand("dpg", (at) => [
    `model=${at("model")}`,
    "maxTokens=6",
    "steps=60",
    "learningRate=0.03",
    "samplesPerPrompt=96",
    "partition.samples=512",
    "evaluationSamples=400",
    "samplesEvery=20",
    "checkpointEvery=10",
  ]);
  await saveTinyModel(dpg.at("model"));
});

describe("fdiv dpg", () => {
  it("comes near a target that wants a word, measures it, and its model says the word", async () => {
    const { err, rows } = await dpg.run("happy", "target.times=[{ word: happy }]", "divergence=js");
    expect(err).toMatch(/done: /);
    const { policy, base, logPartition, acceptance } = await dpg.json("happy/evaluation.json");
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
    expect(rows).toHaveLength(60);
    expect(rows[0]!["kl-to-base"]).toBeCloseTo(0, 5);
    expect(rows.at(-1)!["log-z/low"]).toBeLessThan(-distance + 0.2);
    expect(rows.at(-1)!["log-z/high"]).toBeGreaterThan(-distance - 0.2);
    const samples = (await readFile(dpg.at("happy/samples.jsonl"), "utf8")).trim().split("\n");
    expect(samples).toHaveLength(12);
    expect((await fdiv("report", dpg.at("happy"), "-o", dpg.at("dpg.html"))).code).toBe(0);
  });

  it("fits moments under prompts, and goes on after Ctrl-C as if nothing had been", async () => {
    await writeFile(dpg.at("prompts.txt"), "the cat is\na dog is\n");
    const { rows, err } = await dpg.survives(
      { straight: "straight", stopped: "stopped" },
      { signal: "SIGINT", after: 23, files: ["model/model.safetensors"] },
      "target.constrain=[{ feature: { words: [good, happy], name: nice }, moment: 0.8 }]",
      `prompts=${dpg.at("prompts.txt")}`,
      "divergence=forward-kl",
      "proposal=adaptive",
      "samplesPerPrompt=24",
    );
    expect(err).toMatch(/moments fitted on \d+ samples[\s\S]*nice: 0\.\d+ under the base, 0\.8000 as fitted/);
    expect(rows.some((row) => row["proposal-changed"] === 1)).toBe(true);
    const { policy, base } = await dpg.json("straight/evaluation.json");
    const gap = (from: typeof policy) => Math.abs(0.8 - from.moments.nice.value);
    expect(gap(policy)).toBeLessThan(0.7 * gap(base));
  });

  it.each(["decoder", "encoder-decoder"])(
    "trains an adapter of a %s over a base in bfloat16, and the adapter switched off is the base",
    async (kind) => {
      if (kind === "encoder-decoder") await saveTinyT5(dpg.at("t5"));
      const model = dpg.at(kind === "decoder" ? "model" : "t5");
      const settings = ["steps=4", "lora.rank=4", "storage=bfloat16", `model=${model}`];
      const target = "target.tilt={ reward: { word: happy }, beta: 0.5 }";
      const { rows } = await dpg.run(`adapter-${kind}`, ...settings, target, "divergence=reverse-kl");
      expect(rows[0]!["kl-to-base"]).toBeCloseTo(0, 5);
      expect(rows[3]!["kl-to-base"]).not.toBeCloseTo(0, 5);
      expect(existsSync(dpg.at(`adapter-${kind}/adapter/adapter_model.safetensors`))).toBe(true);
    },
  );

  it("refuses what it can't do, in one message, before it trains", async () => {
    const times = "target.times=[{ word: happy }]";
    expect(await dpg.refusal(times, "divergence=reverse-kl")).toMatch(/f′\(∞\) = ∞/);
    expect(await dpg.refusal("target.times=[]")).toMatch(/the target is the base itself/);
    expect(await dpg.refusal("target.times=[{ word: a, regex: b }]")).toMatch(/one of word, words/);
    expect(await dpg.refusal("target.times=[{ regex: '(' }]")).toMatch(/regex: /);
    expect(await dpg.refusal("target.constrain=[{ feature: { word: zebra }, moment: 0.5 }]")).toMatch(
      /is 0 in all of \d+ samples/,
    );
    expect(await dpg.refusal(times, "storage=bfloat16")).toMatch(/every weight is trained; add lora/);
  });
});
