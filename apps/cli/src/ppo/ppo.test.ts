import "@tensorflow/tfjs";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { loadCausalLm, loadT5, loadValueHead } from "@fdiv/models/node";
import { startBackend } from "@fdiv/tensor-core/node";
import { beforeAll, describe, expect, it } from "vitest";
import { fdiv, saveTinyModel, saveTinyT5 } from "../command-line.testing.ts";
import { type PolicyCommand, policyCommand } from "../policy-command.testing.ts";

let ppo: PolicyCommand;

beforeAll(async () => {
  await startBackend({ backend: "wasm", threads: 1 });
  ppo = await policyCommand("ppo", (at) => [
    `model=${at("model")}`,
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
  ]);
  await saveTinyModel(ppo.at("model"));
  await saveTinyT5(ppo.at("t5"));
});

const rise = (rows: Record<string, number>[]) =>
  rows.slice(-3).reduce((sum, { reward }) => sum + reward! / 3, 0) - rows[0]!.reward!;

describe("fdiv ppo", () => {
  it("raises the reward, says how far the model went for it, and leaves model and value head", async () => {
    const { err, rows } = await ppo.run("happy");
    expect(err).toMatch(/done: /);
    const evaluation = await ppo.json("happy/evaluation.json");
    expect(evaluation.reward.value).toBeGreaterThan(evaluation.base.reward.value + 0.5);
    expect(evaluation.klToReference.value).toBeGreaterThan(0.2);
    expect(evaluation.entropy.value).toBeLessThan(evaluation.base.entropy.value);
    expect(rows).toHaveLength(10);
    expect(rows[0]!["kl-to-base"]).toBeCloseTo(0, 5);
    expect(rise(rows)).toBeGreaterThan(0.5);
    const samples = (await readFile(ppo.at("happy/samples.jsonl"), "utf8")).trim().split("\n");
    expect(samples.filter((line) => line.startsWith('{"step":'))).toHaveLength(8);
    expect(samples.filter((line) => line.includes('"reward":'))).toHaveLength(200);
    const head = await loadValueHead(await loadCausalLm(ppo.at("happy/model")), ppo.at("happy/value"));
    expect(head.parameters.get("v_head.weight")!.dataSync().some(Boolean)).toBe(true);
    expect((await fdiv("report", ppo.at("happy"), "-o", ppo.at("ppo.html"))).code).toBe(0);
  });

  it("raises the reward of an encoder-decoder's answers, and goes on after kill -9 as if nothing had been", async () => {
    const { rows } = await ppo.survives(
      { straight: "t5-straight", stopped: "t5-stopped" },
      {
        ...{ signal: "SIGKILL", after: 6 },
        files: ["model/model.safetensors", "value/value_head.safetensors", "value/trunk/model.safetensors"],
      },
      `model=${ppo.at("t5")}`,
      "prompts=[the cat is, a dog]",
      "value.trunk=separate",
      "samplesPerPrompt=16",
      "steps=14",
      "learningRate=0.01",
      "checkpointEvery=3",
    );
    expect(rows[0]!["kl-to-base"]).toBeCloseTo(0, 5);
    expect(rise(rows)).toBeGreaterThan(0.3);
    const { reward, base, klToReference } = await ppo.json("t5-straight/evaluation.json");
    expect(reward.value).toBeGreaterThan(base.reward.value + 0.2);
    expect(klToReference.value).toBeGreaterThan(0.05);
    const model = await loadT5(ppo.at("t5-straight/model"), { trainable: false });
    const head = await loadValueHead(model, ppo.at("t5-straight/value"));
    expect(head.trunk!.config.decoderLayers).toBe(2);
  });

  it("goes on after kill -9 as if nothing had been, with a trunk of its own and a steered penalty in the loss", async () => {
    const { rows } = await ppo.survives(
      { straight: "straight", stopped: "stopped" },
      {
        ...{ signal: "SIGKILL", after: 4 },
        files: ["model/model.safetensors", "value/value_head.safetensors", "value/trunk/model.safetensors"],
      },
      "prompts=[the cat is, a dog is]",
      "divergence=jensen-shannon",
      "penalty={ place: loss, coefficient: 0.5, target: 0.1, horizon: 200 }",
      "value.trunk=separate",
      "samplesPerPrompt=6",
      "minibatch=6",
      "checkpointEvery=2",
    );
    expect(new Set(rows.map(({ coefficient }) => coefficient)).size).toBeGreaterThan(5);
  });

  it.each(["decoder", "encoder-decoder"])(
    "trains an adapter of a %s over a base in bfloat16, held to the model without it",
    async (kind) => {
      const model = ppo.at(kind === "decoder" ? "model" : "t5");
      const settings = ["steps=3", "lora.rank=4", "storage=bfloat16", "value.trunk=separate"];
      const { rows } = await ppo.run(`adapter-${kind}`, `model=${model}`, ...settings);
      expect(rows[0]!["kl-to-base"]).toBeCloseTo(0, 5);
      expect(rows[2]!["kl-to-base"]).not.toBeCloseTo(0, 5);
      expect(existsSync(ppo.at(`adapter-${kind}/adapter/adapter_model.safetensors`))).toBe(true);
    },
  );

  it("refuses what it can't do, in one message, before it trains", async () => {
    expect(await ppo.refusal("divergence=moon")).toMatch(/moon/);
    expect(await ppo.refusal("penalty.coefficient=0")).toMatch(/penalty.coefficient/);
    expect(await ppo.refusal("kl=0.1")).toMatch(/unknown key "kl"/);
    expect(await ppo.refusal("reward={}")).toMatch(/one of word, words/);
    expect(await ppo.refusal("reward={ module: ./nothing.mjs }")).toMatch(/nothing\.mjs/);
    expect(await ppo.refusal("storage=bfloat16")).toMatch(/every weight is trained; add lora/);
  });

  it("prints its schema, and what it would do", async () => {
    const schema = JSON.parse((await fdiv("ppo", "--schema")).out);
    expect(Object.keys(schema.properties)).toContain("penalty");
    const settings = [
      `model=${ppo.at("model")}`,
      "reward={ word: happy }",
      "steps=10",
      `output=${ppo.at("dry")}`,
    ];
    const flags = settings.flatMap((setting) => ["--set", setting]);
    const { err, code } = await fdiv("ppo", "--dry-run", ...flags);
    expect(err).toMatch(/would take 10 steps/);
    expect(code).toBe(0);
    expect(existsSync(ppo.at("dry"))).toBe(false);
  });
});
