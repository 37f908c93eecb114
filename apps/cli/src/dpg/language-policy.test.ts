import "@tensorflow/tfjs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jensenShannon } from "@fdiv/divergences";
import { approximate, type StepRow, target } from "@fdiv/dpg";
import {
  addLora,
  classifyTexts,
  createCausalLm,
  createEncoder,
  createT5,
  huggingFaceTokenizer,
  type Tokenizer,
} from "@fdiv/models";
import { saveEncoder, saveT5 } from "@fdiv/models/node";
import { random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { wordTokenizerConfig, wordTokenizerJson } from "../demo/word-tokenizer.ts";
import type { Session } from "../session.ts";
import { featureOf } from "./features.ts";
import { languagePolicy } from "./language-policy.ts";
import { openTexts } from "./open-policy.ts";
import { seq2seqTexts } from "./seq2seq-texts.ts";
import { decoderTexts, type Prompt, type TextModel } from "./text-model.ts";

const words = ["the", "cat", "dog", "is", "good", "bad", "happy", "sad"];
const session = { say: () => undefined } as unknown as Session;
let tokenizer: Tokenizer;
beforeAll(async () => {
  await tf.setBackend("cpu");
  tokenizer = huggingFaceTokenizer({
    tokenizer: wordTokenizerJson(words) as never,
    config: wordTokenizerConfig,
  });
});

const sizes = { vocabularySize: 11, hiddenSize: 16, intermediateSize: 32, layers: 2, heads: 2 };
const decoder = () =>
  createCausalLm(
    {
      modelType: "llama",
      ...sizes,
      maxPositions: 32,
      tiedHead: true,
      bosId: 1,
      eosIds: [2],
      initializerRange: 0.3,
    },
    { seed: 1, tokenizer },
  );
const t5 = () => createT5({ ...sizes, eosIds: [2], startId: 0, padId: 0 }, { seed: 1, tokenizer });
const kinds: Record<string, () => TextModel> = {
  "a decoder": () => decoderTexts(decoder()),
  "a decoder with an adapter": () => {
    const model = decoder();
    addLora(model, { rank: 2 });
    return decoderTexts(model);
  },
  "an encoder-decoder": () => seq2seqTexts(t5()),
  "an encoder-decoder with an adapter": () => {
    const model = t5();
    addLora(model, { rank: 2 });
    return seq2seqTexts(model);
  },
};
const promptsOf = (model: TextModel, count: number): Prompt[] =>
  Array.from({ length: count }, (_, i) => {
    const text = i % 2 === 0 ? "the cat is" : "dog";
    return { text, ids: model.promptIds(text) };
  });

describe.each(Object.entries(kinds))("%s as a policy", (kind, make) => {
  it("scores what it draws as it drew it, and token by token", async () => {
    const model = make();
    const policy = languagePolicy(model, { maxTokens: 6, chunk: 7 });
    const prompts = promptsOf(model, 20);
    const { outcomes, logProbs } = await policy.sample(prompts, random(3));
    expect(new Set(outcomes.map(({ text }) => text)).size).toBeGreaterThan(5);
    const scored = policy.logProbs(outcomes, prompts).dataSync();
    const based = (await policy.base.logProbs(outcomes, prompts)) as Float64Array;
    const tokens = await policy.base.tokenLogProbs(outcomes, prompts);
    let at = 0;
    for (const [i, { ids }] of outcomes.entries()) {
      expect(Math.abs(scored[i]! - logProbs[i]!)).toBeLessThan(1e-4);
      expect(Math.abs(based[i]! - logProbs[i]!)).toBeLessThan(1e-4);
      const sum = tokens.slice(at, at + ids.length).reduce((total, x) => total + x, 0);
      at += ids.length;
      expect(Math.abs(sum - logProbs[i]!)).toBeLessThan(1e-4);
    }
    expect(at).toBe(tokens.length);
    // What PPO learns from: each token's law, beside values that begin at 0, of a trunk shared or its own.
    for (const trunk of ["shared", "separate"] as const) {
      const values = model.valued({ trunk });
      const found = values.tokens(outcomes, prompts);
      found.logProbs.dataSync().forEach((value, i) => {
        expect(Math.abs(value - tokens[i]!)).toBeLessThan(1e-4);
      });
      expect(found.values.dataSync().every((value) => value === 0)).toBe(true);
      expect([...found.sequences]).toEqual(outcomes.flatMap(({ ids }, i) => ids.map(() => i)));
      values.dispose();
    }
    policy.base.dispose();
    model.dispose();
  });

  it("comes nearer to a target under its prompts, and its base stays", async () => {
    const model = make();
    const policy = languagePolicy(model, { maxTokens: 4, chunk: 64 });
    const contexts = promptsOf(model, 2);
    const sad = await featureOf({ word: "sad" });
    const run = approximate(target(policy.base).tilt(sad, { beta: 0.25 }), {
      policy,
      divergence: jensenShannon,
      contexts,
      samplesPerContext: 32,
      partition: { samples: 96 },
      steps: 18,
      learningRate: kind === "a decoder" ? 0.015 : 0.05,
      features: [sad],
    });
    const rows: StepRow[] = [];
    for await (const row of run) rows.push(row);
    const mean = (some: StepRow[], of: (row: StepRow) => number) =>
      some.reduce((sum, row) => sum + of(row), 0) / some.length;
    const share = (row: StepRow) => row.moments[sad.name]!.value;
    const distance = (row: StepRow) => row.jensenShannon.value;
    expect(mean(rows.slice(-3), share)).toBeGreaterThan(share(rows[0]!) + 0.05);
    expect(mean(rows.slice(-3), distance)).toBeLessThan(0.9 * mean(rows.slice(0, 2), distance));
    run.dispose();
    const asked = promptsOf(model, 40);
    const { outcomes } = await policy.base.sample(asked, random(1));
    const after = await policy.base.tokenLogProbs(outcomes, asked);
    expect(after.every(Number.isFinite)).toBe(true);
  });
});

it("an encoder-decoder is opened as what it is, with an adapter too, and says what it can't", async () => {
  const folder = join(await mkdtemp(join(tmpdir(), "fdiv-texts-")), "t5");
  await saveT5(t5(), folder);
  const asked = { model: folder, seed: 0, storage: "float32" as const };
  const model = await openTexts(asked, session);
  expect(model.withoutAdapter).toBeUndefined();
  expect(model.promptIds("")).toHaveLength(1);
  const lora = { rank: 2, rankStabilised: false };
  const adapted = await openTexts({ ...asked, lora }, session);
  expect(adapted.withoutAdapter).toBeDefined();
  expect([...adapted.parameters.keys()].every((name) => name.includes(".lora_"))).toBe(true);
  await expect(openTexts({ ...asked, storage: "bfloat16" }, session)).rejects.toThrow(/add lora/);
  await expect(openTexts({ ...asked, lora: { ...lora, targets: ["query"] } }, session)).rejects.toThrow(
    /ends in "query"; the default is q, v/,
  );
});

it("a classifier's opinion is a feature, by the name of its label", async () => {
  const folder = join(await mkdtemp(join(tmpdir(), "fdiv-texts-")), "classifier");
  const model = createEncoder(
    {
      modelType: "bert",
      ...sizes,
      positions: 32,
      initializerRange: 0.5,
      head: { task: "classification", labels: ["no", "yes"] },
    },
    { seed: 3, tokenizer },
  );
  await saveEncoder(model, folder);
  const texts = ["the cat is good", "a dog", "sad"].map((text) => ({ text, ids: [] }));
  const prompts = texts.map(() => ({ text: "", ids: [] }));
  const yes = await featureOf({ classifier: { model: folder, label: "yes", log: false } });
  const rows = await classifyTexts(
    model,
    texts.map(({ text }) => text),
  );
  const values = await yes.values(texts, prompts);
  rows.forEach((row, i) => {
    expect(values[i]).toBeCloseTo(row[1]!, 6);
  });
  expect(new Set(values).size).toBe(3);
  const logNo = await featureOf({ classifier: { model: folder, label: 0, log: true }, name: "no" });
  expect((await logNo.values(texts, prompts))[0]).toBeCloseTo(Math.log(rows[0]![0]!), 5);
  await expect(featureOf({ classifier: { model: folder, label: "maybe", log: false } })).rejects.toThrow(
    /no label maybe; it has no, yes/,
  );
});
