import "@tensorflow/tfjs";
import { random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { causalLmFrom, createCausalLm } from "./causal-lm.ts";
import { causalLmConfig } from "./config.ts";
import { configFromHuggingFace } from "./families.ts";
import { copyModel, disposeModel, freeze, trainableParameters, unfreeze } from "./parameterised.ts";
import { tokenLogProbs } from "./scoring.ts";
import { tinyOptions } from "./testing/tiny-models.testing.ts";
import { tokenRows } from "./token-rows.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const rows = tokenRows([{ prompt: [1, 2], completions: [[3, 4]] }]);
const deviation = (values: ArrayLike<number>) =>
  Math.sqrt(Array.from(values).reduce((sum, x) => sum + x * x, 0) / values.length);

describe("createCausalLm", () => {
  it("starts as Hugging Face starts a model", () => {
    const options = { modelType: "gpt2", vocabularySize: 500, hiddenSize: 64, layers: 8, heads: 4 };
    const model = createCausalLm(options, { seed: 1 });
    const values = (name: string) => model.parameters.get(name)!.dataSync();
    expect(deviation(values("transformer.wte.weight"))).toBeCloseTo(0.02, 3);
    expect(deviation(values("transformer.h.3.mlp.c_fc.weight"))).toBeCloseTo(0.02, 3);
    expect(deviation(values("transformer.h.3.mlp.c_proj.weight"))).toBeCloseTo(0.02 / 4, 3);
    expect(new Set(values("transformer.h.3.mlp.c_fc.bias"))).toEqual(new Set([0]));
    expect(new Set(values("transformer.ln_f.weight"))).toEqual(new Set([1]));
    expect(model.parameters.has("lm_head.weight")).toBe(false);
    expect(trainableParameters(model).size).toBe(model.parameters.size);
    disposeModel(model);
  });

  it("depends on the seed alone", () => {
    const [a, b, c] = [1, 1, 2].map((seed) => createCausalLm(tinyOptions.llama!, { seed }));
    const first = (model: typeof a) => [...model!.parameters.values()][0]!.dataSync();
    expect(first(a)).toEqual(first(b));
    expect(first(a)).not.toEqual(first(c));
    for (const model of [a, b, c]) disposeModel(model!);
  });

  it("says which size can't be", () => {
    const base = { modelType: "llama", vocabularySize: 9, hiddenSize: 12, layers: 1, heads: 4 };
    expect(() => causalLmConfig({ ...base, heads: 5 })).toThrow(/multiple of heads/);
    expect(() => causalLmConfig({ ...base, kvHeads: 3 })).toThrow(/kvHeads/);
    expect(() => causalLmConfig({ ...base, layers: -1 })).toThrow(/layers must be a positive integer/);
    expect(() => causalLmConfig({ ...base })).toThrow(/rotarySize/);
    expect(() => createCausalLm({ ...base, modelType: "mamba" }, { seed: 0 })).toThrow(
      /"mamba" is not supported; supported are llama, mistral, qwen2, gpt2/,
    );
  });
});

describe("a Hugging Face config", () => {
  it("is refused with the key that is wrong", () => {
    const json = { model_type: "llama", vocab_size: 9, hidden_size: 8, intermediate_size: 8 };
    const whole = { ...json, num_hidden_layers: 1, num_attention_heads: 2 };
    expect(() => configFromHuggingFace({})).toThrow(/model_type is missing/);
    expect(() => configFromHuggingFace({ model_type: "toString" })).toThrow(/not supported/);
    expect(() => configFromHuggingFace(json)).toThrow(/num_attention_heads must be a number/);
    expect(() => configFromHuggingFace({ ...whole, hidden_act: "mish" })).toThrow(/"mish" is not supported/);
    expect(() => configFromHuggingFace({ ...whole, num_hidden_layers: 1e9 })).toThrow(/layers must be/);
    expect(() => configFromHuggingFace({ ...whole, rope_scaling: { type: "longrope" } })).toThrow(
      /"longrope" is not supported/,
    );
    expect(configFromHuggingFace(whole).kvHeads).toBe(2);
  });
});

describe("causalLmFrom", () => {
  const checkpoint = (names: [string, number[]][]) => ({
    config: causalLmConfig(tinyOptions.gpt2!),
    tensors: names.map(([name, shape]) => ({
      name,
      shape,
      read: async () => random(name).normal(shape.reduce((a, b) => a * b, 1)),
    })),
  });
  const complete = () => {
    const model = createCausalLm(tinyOptions.gpt2!, { seed: 0 });
    const names = [...model.parameters].map(([name, { shape }]): [string, number[]] => [name, shape]);
    disposeModel(model);
    return names;
  };

  it("takes names without prefix, and leaves out buffers and a tied head's copy", async () => {
    const bare = complete().map(([name, shape]): [string, number[]] => [
      name.replace("transformer.", ""),
      shape,
    ]);
    const model = await causalLmFrom(
      checkpoint([...bare, ["h.0.attn.bias", [1, 1, 64, 64]], ["lm_head.weight", [13, 16]]]),
    );
    expect([...model.parameters.keys()].sort()).toEqual(
      complete()
        .map(([name]) => name)
        .sort(),
    );
    disposeModel(model);
  });

  it("lists everything that does not fit in one error", async () => {
    const names = complete();
    names[0] = [names[0]![0], [13, 17]];
    names.splice(5, 1, ["transformer.h.0.extra", [3]]);
    const error = await causalLmFrom(checkpoint(names)).catch((reason: Error) => reason);
    expect(String(error)).toMatch(/missing \(1\):\s+transformer.h.0.attn.c_attn.bias \[48\]/);
    expect(String(error)).toMatch(/unexpected \(1\):\s+transformer.h.0.extra \[3\]/);
    expect(String(error)).toMatch(/wte.weight is \[13, 17\], expected \[13, 16\]/);
  });

  it("frees what it has read when a tensor can't be", async () => {
    const whole = checkpoint(complete());
    whole.tensors[7]!.read = () => Promise.reject(new Error("the disk is gone"));
    const before = tf.memory().numTensors;
    await expect(causalLmFrom(whole)).rejects.toThrow("the disk is gone");
    expect(tf.memory().numTensors).toBe(before);
  });
});

it("freezes and unfreezes by name without changing a number", () => {
  const model = createCausalLm(tinyOptions.llama!, { seed: 4 });
  const score = () => tf.tidy(() => tokenLogProbs(model, rows).dataSync());
  const before = score();
  const all = trainableParameters(model).size;
  freeze(model, "model.layers.0.*");
  expect(trainableParameters(model).size).toBe(all - 9);
  freeze(model);
  expect(trainableParameters(model).size).toBe(0);
  expect(score()).toEqual(before);
  unfreeze(model, /norm/);
  expect(trainableParameters(model).size).toBe(5);
  expect(score()).toEqual(before);
  disposeModel(model);
});

it("copies into memory of its own, and frees all of it", () => {
  const before = tf.memory().numTensors;
  const model = createCausalLm(tinyOptions.llama!, { seed: 4 });
  const copy = copyModel(model);
  const score = () => tf.tidy(() => tokenLogProbs(copy, rows).dataSync());
  const expected = score();
  for (const variable of trainableParameters(model).values())
    tf.tidy(() => variable.assign(tf.zeros(variable.shape)));
  expect(score()).toEqual(expected);
  expect(trainableParameters(copy).size).toBe(0);
  disposeModel(model);
  disposeModel(copy);
  expect(tf.memory().numTensors).toBe(before);
});
