import "@tensorflow/tfjs";
import { random, valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { type CausalLm, createCausalLm } from "./causal-lm.ts";
import { classify } from "./encoders/classify.ts";
import { createEncoder, type Encoder } from "./encoders/encoder.ts";
import { encoderBatch } from "./encoders/encoder-batch.ts";
import { addLora } from "./lora.ts";
import type { Adaptable } from "./lora-architecture.ts";
import { detachLora, mergeLora, unmergeLora, withoutAdapter } from "./lora-merge.ts";
import { attachLora, loraConfigFrom, loraState } from "./lora-peft.ts";
import { copyModel, disposeModel, trainableParameters } from "./parameterised.ts";
import { sequenceLogProbs, tokenLogProbs } from "./scoring.ts";
import { t5Batch } from "./t5/t5-batch.ts";
import { createT5 } from "./t5/t5-model.ts";
import { seq2seqLogProbs } from "./t5/t5-scoring.ts";
import { tinyOptions } from "./testing/tiny-models.testing.ts";
import { tokenRows } from "./token-rows.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const rows = tokenRows([{ prompt: [3, 7, 1], completions: [[5, 9, 2, 6]] }]);
const score = (model: CausalLm) => tf.tidy(() => [...tokenLogProbs(model, rows).dataSync()]);
const gap = (a: number[], b: number[]) => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));

/** Gives B values, as training does. */
function stir(model: CausalLm): void {
  for (const [name, variable] of model.lora!.parameters)
    if (name.includes("lora_B"))
      variable.assign(tf.mul(tf.tensor(random(name).normal(variable.size), variable.shape), 0.3));
}

describe.each(["llama", "gpt2"])("%s", (family) => {
  const fresh = () => createCausalLm({ ...tinyOptions[family]!, initializerRange: 0.2 }, { seed: 1 });

  it("starts as the base, trains the adapter alone and is its own reference", () => {
    const model = fresh();
    const base = score(model);
    addLora(model, { rank: 3, seed: 2 });
    expect(score(model)).toEqual(base);
    const names = [...trainableParameters(model).keys()];
    expect(names.length).toBe(family === "llama" ? 8 : 4);
    expect(names[0]).toBe(
      family === "llama"
        ? "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
        : "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight",
    );
    const { gradients } = valueAndGradients(
      () => tf.sum(sequenceLogProbs(model, rows)) as tf.Scalar,
      trainableParameters(model),
    );
    for (const [name, gradient] of gradients)
      expect((tf.max(tf.abs(gradient)) as tf.Scalar).dataSync()[0]! > 0, name).toBe(name.includes("lora_B"));
    stir(model);
    const adapted = score(model);
    expect(gap(adapted, base)).toBeGreaterThan(1e-2);
    expect(withoutAdapter(model, () => score(model))).toEqual(base);
    expect(() =>
      withoutAdapter(model, () => {
        throw new Error("within");
      }),
    ).toThrow("within");
    expect(score(model)).toEqual(adapted);
    disposeModel(model);
  });

  it("merges and unmerges", () => {
    const model = fresh();
    addLora(model, { rank: 2, alpha: 5, rankStabilised: true });
    stir(model);
    const name = [...model.lora!.adapters.keys()][0]!;
    const before = [...model.parameters.get(`${name}.weight`)!.dataSync()];
    const adapted = score(model);
    const copy = copyModel(model);
    mergeLora(model);
    expect(gap(score(model), adapted)).toBeLessThan(1e-5);
    expect(gap(score(copy), adapted)).toBeLessThan(1e-5);
    expect(() => withoutAdapter(model, () => 0)).toThrow(/unmerge/);
    unmergeLora(model);
    expect(gap([...model.parameters.get(`${name}.weight`)!.dataSync()], before)).toBeLessThan(1e-6);
    expect(gap(score(model), adapted)).toBeLessThan(1e-5);
    mergeLora(model);
    detachLora(model);
    expect(gap(score(model), adapted)).toBeLessThan(1e-5);
    disposeModel(model);
    disposeModel(copy);
  });

  it("passes through PEFT's format", async () => {
    const model = fresh();
    addLora(model, { rank: 2, alpha: 5, baseModel: "base" });
    stir(model);
    const state = await loraState(model);
    expect(state.config).toMatchObject({ r: 2, lora_alpha: 5, fan_in_fan_out: family === "gpt2" });
    const other = fresh();
    attachLora(other, { ...state, config: JSON.parse(JSON.stringify(state.config)) });
    expect(score(other)).toEqual(score(model));
    expect(() => attachLora(other, state)).toThrow(/already/);
    disposeModel(other);
    disposeModel(model);
  });
});

describe("encoders and T5", () => {
  const sizes = { vocabularySize: 32, hiddenSize: 16, layers: 2, heads: 4 };
  const labels = ["no", "yes"];
  const encoderLoss = (model: Encoder) => {
    const batch = encoderBatch([{ ids: [3, 7, 1] }, { ids: [5, 9] }], model.config.padId);
    return tf.sum(tf.square(classify(model, batch))) as tf.Scalar;
  };
  const encoder = (modelType: string) => () => {
    const head = { task: "classification" as const, labels };
    const options = { modelType, ...sizes, head, initializerRange: 0.2 };
    const model = createEncoder(options, { seed: 1 });
    return { model: model as Adaptable, loss: () => encoderLoss(model) };
  };
  const t5 = () => {
    const model = createT5({ ...sizes, gated: true }, { seed: 1 });
    const batch = t5Batch([{ input: [3, 7, 1], outputs: [[5, 9, 1], [4]] }], model.config);
    return { model: model as Adaptable, loss: () => tf.sum(seq2seqLogProbs(model, batch)) as tf.Scalar };
  };

  it.each([
    ["bert", encoder("bert"), 8, ["bert.pooler.dense", "classifier"]],
    ["roberta", encoder("roberta"), 8, ["classifier.dense", "classifier.out_proj"]],
    ["distilbert", encoder("distilbert"), 8, ["classifier", "pre_classifier"]],
    ["t5", t5, 24, []],
  ])("adapts queries and values of %s, and trains its head whole", (_, make, matrices, head) => {
    const { model, loss } = make();
    const start = loss().dataSync()[0]!;
    addLora(model, { rank: 3, seed: 2 });
    expect(loss().dataSync()[0]!).toBe(start);
    const names = [...trainableParameters(model).keys()];
    expect(names.filter((name) => /lora_[AB]/.test(name)).length).toBe(matrices);
    const whole = names.filter((name) => !/lora_[AB]/.test(name));
    expect(whole.sort()).toEqual(
      head.flatMap((module) => ["bias", "weight"].map((kind) => `base_model.model.${module}.${kind}`)),
    );
    const grade = (anew: boolean) => {
      model.gradientCheckpointing = anew;
      return valueAndGradients(loss, trainableParameters(model)).gradients;
    };
    const [plain, anew] = [grade(false), grade(true)];
    for (const [name, gradient] of plain) {
      const trains = !name.includes("lora_A");
      expect((tf.max(tf.abs(gradient)) as tf.Scalar).dataSync()[0]! > 0, name).toBe(trains);
      expect(gap([...anew.get(name)!.dataSync()], [...gradient.dataSync()]), name).toBeLessThan(1e-5);
    }
    disposeModel(model);
  });

  it("refuses targets and heads that are not there", () => {
    const { model } = t5();
    expect(() => addLora(model, { targets: ["relative_attention_bias"] })).toThrow(/the default is q, v/);
    expect(() => addLora(model, { modulesToSave: ["classifier"] })).toThrow(/can't be trained whole/);
    expect(() => addLora(model, { dropout: 1 })).toThrow(/dropout must be in \[0, 1\)/);
    disposeModel(model);
  });
});

it("says what does not fit", async () => {
  const model = createCausalLm(tinyOptions.llama!, { seed: 1 });
  expect(() => addLora(model, { targets: ["q_proj", "c_attn"] })).toThrow(/ends in "c_attn".*q_proj, v_proj/);
  expect(() => addLora(model, { rank: 0 })).toThrow(/rank/);
  addLora(model, { rank: 2 });
  const state = await loraState(model);
  detachLora(model);
  const [name] = state.tensors.keys() as unknown as [string];
  const without = new Map(state.tensors);
  without.delete(name);
  expect(() => attachLora(model, { ...state, tensors: without })).toThrow(/lora_A.weight is missing/);
  const renamed = new Map(state.tensors).set("base_model.model.x.y.lora_A.weight", state.tensors.get(name)!);
  expect(() => attachLora(model, { ...state, tensors: renamed })).toThrow(/another base/);
  expect(() => attachLora(model, { ...state, config: { ...state.config, r: 5 } })).toThrow(
    /expected A \[5, 16\]/,
  );
  for (const odd of [{ bias: "all" }, { use_dora: true }, { peft_type: "IA3" }])
    expect(() => loraConfigFrom({ ...state.config, ...odd })).toThrow(/not supported/);
  disposeModel(model);
});
