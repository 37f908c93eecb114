import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { type CausalLm, createCausalLm } from "./causal-lm.ts";
import { type GenerateOptions, generate, streamTokens } from "./generate.ts";
import { disposeModel } from "./parameterised.ts";
import { logits, tokenLogProbs } from "./scoring.ts";
import { tinyOptions } from "./testing/tiny-models.testing.ts";
import { tokenRows } from "./token-rows.ts";

const native = await startBackend({ backend: "tensorflow" }).then(
  () => true,
  () => false,
);
const start = (backend: string) => async () => {
  await startBackend({ backend });
};

const prompts = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10], [2, 2]];

/** Greedy decoding without a cache: the whole text again for every token. */
function greedy(model: CausalLm, prompt: number[], count: number): number[] {
  const ids = [...prompt];
  for (let t = 0; t < count; t++) {
    const rows = tokenRows([{ prompt: ids, completions: [[0]] }]);
    ids.push(tf.tidy(() => tf.argMax(logits(model, rows), 1).dataSync()[0]!));
  }
  return ids.slice(prompt.length);
}

const everywhere = Object.entries(tinyOptions).flatMap(([name, options]) =>
  ["cpu", "wasm", "tensorflow"].map((backend) => [name, backend, options] as const),
);
describe.each(everywhere)("%s on %s", (_, backend, options) => {
  // TensorFlow's is there where `fdiv-native install` has run; it reads tokens and draws by kernels of its own.
  beforeAll(start(native || backend !== "tensorflow" ? backend : "cpu"));

  it("generates through the cache what it generates without", async () => {
    const model = createCausalLm(options, { seed: 5 });
    const { ids, finished, logProbs } = await generate(model, { prompts, maxTokens: 8, temperature: 0 });
    expect(ids).toEqual(prompts.map((prompt) => greedy(model, prompt, 8)));
    expect(finished).toEqual(["length", "length", "length", "length"]);
    expect(logProbs.every((row) => row.every((value) => value === 0))).toBe(true);
    disposeModel(model);
  });

  it("goes on after a long prompt, alone and among others", async () => {
    const model = createCausalLm(options, { seed: 7 });
    const long = Array.from({ length: 45 }, (_, i) => (7 * i) % 13);
    for (const some of [[long], [long, [4], long.slice(3)]]) {
      const { ids } = await generate(model, { prompts: some, maxTokens: 8, temperature: 0 });
      expect(ids).toEqual(some.map((prompt) => greedy(model, prompt, 8)));
    }
    disposeModel(model);
  });

  it("reports the probabilities that scoring finds", async () => {
    const model = createCausalLm(options, { seed: 6 });
    const sampled = await generate(model, { prompts, maxTokens: 9, temperature: 1.3, topK: 5, topP: 0.9 });
    const rows = tokenRows(prompts.map((prompt, i) => ({ prompt, completions: [sampled.ids[i]!] })));
    const scored = tokenLogProbs(model, rows).dataSync();
    const reported = sampled.policyLogProbs.flatMap((row) => [...row]);
    expect(reported.length).toBe(scored.length);
    reported.forEach((value, i) => {
      expect(Math.abs(value - scored[i]!)).toBeLessThan(1e-4);
    });
    const plain = await generate(model, { prompts, maxTokens: 3 });
    plain.logProbs.forEach((row, i) => {
      row.forEach((value, t) => {
        expect(value).toBeCloseTo(plain.policyLogProbs[i]![t]!, 5);
      });
    });
    const drawn = await generate(model, { prompts, maxTokens: 9, temperature: 0.8 });
    const again = tokenRows(prompts.map((prompt, i) => ({ prompt, completions: [drawn.ids[i]!] })));
    const found = tokenLogProbs(model, again).dataSync();
    drawn.policyLogProbs
      .flatMap((row) => [...row])
      .forEach((value, i) => {
        expect(Math.abs(value - found[i]!)).toBeLessThan(1e-4);
      });
    disposeModel(model);
  });
});

describe.each(["cpu", "tensorflow"])("a row on %s", (backend) => {
  beforeAll(start(native || backend === "cpu" ? backend : "cpu"));

  const model = () => createCausalLm(tinyOptions.llama!, { seed: 7 });

  it("draws alike alone and in a batch, whoever else ends", async () => {
    const lm = model();
    const options = { maxTokens: 12, seed: "s", stop: [0, 4, 11] };
    const all = await generate(lm, { ...options, prompts });
    expect(new Set(all.ids.map(({ length }) => length)).size).toBeGreaterThan(1);
    for (let i = 0; i < prompts.length; i++) {
      const alone = await generate(lm, { ...options, prompts: [prompts[i]!], firstRow: i });
      expect(alone.ids[0]).toEqual(all.ids[i]);
    }
    const other = await generate(lm, { ...options, prompts, seed: "t" });
    expect(other.ids).not.toEqual(all.ids);
    disposeModel(lm);
  });

  it("stops at a stop id, but not before minTokens", async () => {
    const lm = model();
    const stop = [...Array(12).keys()];
    const early = await generate(lm, { prompts, maxTokens: 6, stop });
    expect(early.ids.every((row) => row.at(-1)! < 12 || row.length === 6)).toBe(true);
    expect(early.ids.some(({ length }) => length === 1)).toBe(true);
    const later = await generate(lm, { prompts, maxTokens: 6, stop, minTokens: 3 });
    for (const row of later.ids) {
      expect(row.length).toBeGreaterThan(3);
      expect(row.slice(0, 3)).toEqual([12, 12, 12]);
    }
    disposeModel(lm);
  });

  it("stops at its own end of sequence unless told to go on", async () => {
    const lm = createCausalLm({ ...tinyOptions.llama!, eosIds: [3, 5, 6, 7, 8] }, { seed: 7 });
    const options: GenerateOptions = { prompts, maxTokens: 20 };
    const { finished, ids } = await generate(lm, options);
    expect(finished).toContain("stop");
    ids.forEach((row, i) => {
      if (finished[i] === "stop") expect(lm.config.eosIds).toContain(row.at(-1));
    });
    const on = await generate(lm, { ...options, ignoreEos: true });
    expect(on.ids.every(({ length }) => length === 20)).toBe(true);
    disposeModel(lm);
  });
});

it("streams tokens as they are drawn and frees its cache when left early", async () => {
  const model = createCausalLm(tinyOptions.gpt2!, { seed: 8 });
  const before = tf.memory().numTensors;
  const seen: number[] = [];
  for await (const { row, index } of streamTokens(model, { prompts, maxTokens: 5 })) {
    seen.push(row);
    if (index === 2) break;
  }
  expect(seen).toEqual([0, 1, 2, 3, 0, 1, 2, 3, 0]);
  expect(tf.memory().numTensors).toBe(before);
  const events: number[] = [];
  const { ids } = await generate(model, { prompts, maxTokens: 2, onToken: ({ id }) => events.push(id) });
  expect(events).toEqual([0, 1].flatMap((t) => ids.map((row) => row[t]!)));
  disposeModel(model);
});

it("says what does not fit", async () => {
  const model = createCausalLm(tinyOptions.gpt2!, { seed: 8 });
  const long = Array<number>(60).fill(1);
  await expect(generate(model, { prompts: [[1], long], maxTokens: 5 })).rejects.toThrow(
    /prompt 1 has 60 tokens.*at most 4/s,
  );
  await expect(generate(model, { prompts: [[]], maxTokens: 5 })).rejects.toThrow(/prompt 0 has no token/);
  await expect(generate(model, { prompts, maxTokens: 0 })).rejects.toThrow(/maxTokens/);
  await expect(generate(model, { prompts, maxTokens: 1, temperature: -1 })).rejects.toThrow(/temperature/);
  await expect(generate(model, { prompts, maxTokens: 1, topP: 0 })).rejects.toThrow(/topP/);
  await expect(generate(model, { prompts, maxTokens: 1, stop: ["x"] })).rejects.toThrow(/tokenizer/);
  disposeModel(model);
});
