import "@tensorflow/tfjs";
import { assertNoLeak } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { createCausalLm } from "./causal-lm.ts";
import { encode } from "./encoders/encode.ts";
import { createEncoder } from "./encoders/encoder.ts";
import { encoderBatch } from "./encoders/encoder-batch.ts";
import { selectEncoderLayers } from "./encoders/select-layers.ts";
import { disposeModel, trainableParameters } from "./parameterised.ts";
import { logits } from "./scoring.ts";
import { evenlySpacedLayers, selectLayers } from "./select-layers.ts";
import { tinyOptions } from "./testing/tiny-models.testing.ts";
import { tokenRows } from "./token-rows.ts";

const sizes = { vocabularySize: 11, hiddenSize: 8, layers: 4, heads: 2 };
const rows = tokenRows([{ prompt: [1, 2, 3], completions: [[4, 5]] }]);

beforeAll(async () => {
  await tf.setBackend("cpu");
});

it("spreads layers evenly from the first to the last", () => {
  expect(evenlySpacedLayers(12, 6)).toEqual([0, 2, 4, 7, 9, 11]);
  expect(evenlySpacedLayers(12, 3)).toEqual([0, 6, 11]);
  expect(evenlySpacedLayers(5, 5)).toEqual([0, 1, 2, 3, 4]);
  expect(evenlySpacedLayers(5, 1)).toEqual([0]);
  expect(() => evenlySpacedLayers(5, 6)).toThrow("a student of 6 layers can't be made of 5");
});

describe.each(["llama", "gpt2", "bert", "distilbert"])("a student of %s", (modelType) => {
  const encoder = modelType.endsWith("bert");
  const make = () =>
    encoder
      ? createEncoder({ ...sizes, modelType, initializerRange: 0.5 }, { seed: 1 })
      : createCausalLm({ ...tinyOptions[modelType]!, ...sizes, kvHeads: 2 }, { seed: 1 });
  type Model = ReturnType<typeof make>;
  const select = (model: Model, layers: number | number[], options = {}): Model =>
    encoder
      ? selectEncoderLayers(model as never, layers, options)
      : (selectLayers(model as never, layers, options) as Model);
  const run = (model: Model): number[] =>
    Array.from(
      encoder
        ? encode(model as never, encoderBatch([{ ids: [1, 2, 3] }])).dataSync()
        : logits(model as never, rows).dataSync(),
    );

  it("with all layers computes the same; with some, those and no others", () => {
    const teacher = make();
    expect(run(select(teacher, [0, 1, 2, 3]))).toEqual(run(teacher));
    const student = select(teacher, [3, 1]);
    expect(student.config.layers).toBe(2);
    expect(run(student)).not.toEqual(run(teacher));
    // The student of the student, in the other order, is the student of [1, 3].
    expect(run(select(student, [1, 0]))).toEqual(run(select(teacher, [1, 3])));
    expect(run(select(teacher, 2))).toEqual(run(select(teacher, [0, 3])));
    disposeModel(teacher);
    expect(run(student).every(Number.isFinite)).toBe(true);
    expect(trainableParameters(student).size).toBe(student.parameters.size);
    expect(trainableParameters(select(student, [0], { trainable: false })).size).toBe(0);
  });

  it("refuses layers that are not there, and leaves nothing behind", async () => {
    const teacher = make();
    expect(() => select(teacher, [0, 4])).toThrow(
      "there is no layer 4; the model's 4 layers count from 0 to 3",
    );
    expect(() => select(teacher, [1, 1])).toThrow("must be at least one and differ");
    await assertNoLeak(() => disposeModel(select(teacher, 2)));
  });
});
