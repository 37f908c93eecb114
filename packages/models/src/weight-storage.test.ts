import "@tensorflow/tfjs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  bfloat16ToFloat,
  floatToBfloat16,
  floatWeight,
  isHalfWeight,
  parameterBytes,
  random,
  valueAndGradients,
} from "@fdiv/tensor-core";
import { startBackend } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { type CausalLm, createCausalLm } from "./causal-lm.ts";
import { classify } from "./encoders/classify.ts";
import { createEncoder, type Encoder } from "./encoders/encoder.ts";
import { encoderBatch } from "./encoders/encoder-batch.ts";
import { selectEncoderLayers } from "./encoders/select-layers.ts";
import { generate } from "./generate.ts";
import { addLora } from "./lora.ts";
import type { Adaptable } from "./lora-architecture.ts";
import { mergeLora } from "./lora-merge.ts";
import { loadCausalLm } from "./node/load.ts";
import { checkpointOf, saveCausalLm } from "./node/save.ts";
import { copyModel, disposeModel, trainableParameters, unfreeze } from "./parameterised.ts";
import { sequenceLogProbs, tokenLogProbs } from "./scoring.ts";
import { selectT5Layers } from "./t5/select-layers.ts";
import { t5Batch } from "./t5/t5-batch.ts";
import { generateSeq2Seq } from "./t5/t5-generate.ts";
import { createT5, type T5 } from "./t5/t5-model.ts";
import { t5Logits } from "./t5/t5-scoring.ts";
import { tinyOptions } from "./testing/tiny-models.testing.ts";
import { tokenRows } from "./token-rows.ts";
import type { WeightStorage } from "./weight-storage.ts";

const rows = tokenRows([
  {
    prompt: [3, 7, 1],
    completions: [
      [5, 9, 2, 6],
      [4, 4],
    ],
  },
]);
const score = (model: CausalLm) => [...tf.tidy(() => tokenLogProbs(model, rows)).dataSync()];
const closeTo = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance: number) => {
  expect(a.length).toBe(b.length);
  for (let i = 0; i < a.length; i++) expect(Math.abs(a[i]! - b[i]!)).toBeLessThan(tolerance);
};

/** Rounds a frozen model's matrices in float32 to what bfloat16 holds. */
function round<M extends Adaptable>(model: M, isRounded = (_: string) => true): M {
  for (const [name, tensor] of model.parameters) {
    if (tensor.rank !== 2 || !isRounded(name)) continue;
    const values = bfloat16ToFloat(floatToBfloat16(tensor.dataSync() as Float32Array));
    model.parameters.set(name, tf.keep(tf.tensor(values, tensor.shape)));
    tensor.dispose();
  }
  return model;
}

/** A frozen model in float32 whose matrices have been rounded to bfloat16. */
const rounded = (family: string): CausalLm =>
  round(createCausalLm(tinyOptions[family]!, { seed: 1, trainable: false }));

const stored = (family: string) =>
  createCausalLm(tinyOptions[family]!, { seed: 1, trainable: false, storage: "bfloat16" });

describe.each(["wasm", "tensorflow"])("weights in bfloat16 on %s", async (backend) => {
  const started = await startBackend({ backend }).catch((error: Error) => error);
  const isThere = !(started instanceof Error);

  describe.skipIf(!isThere).each(["llama", "qwen2", "gpt2"])(
    `%s (skipped where ${backend} is missing)`,
    (family) => {
      it("computes what the rounded weights in float32 do, in half of the memory", async () => {
        await tf.setBackend(backend);
        const [half, whole] = [stored(family), rounded(family)];
        closeTo(score(half), score(whole), 2e-5);
        const matrices = [...whole.parameters.values()].filter(({ rank }) => rank === 2);
        const saved = 2 * matrices.reduce((sum, { size }) => sum + size, 0);
        expect(parameterBytes(half.parameters)).toBe(parameterBytes(whole.parameters) - saved);
        const options = { prompts: [[3, 1], [2]], maxTokens: 12, temperature: 0, ignoreEos: true };
        const [written, expected] = [await generate(half, options), await generate(whole, options)];
        expect(written.ids).toEqual(expected.ids);
        for (const [i, logProbs] of written.policyLogProbs.entries())
          closeTo(logProbs, expected.policyLogProbs[i]!, 2e-5);
        disposeModel(half);
        disposeModel(whole);
      });

      it("trains adapters over it with the same gradients, and merges them in float32", async () => {
        await tf.setBackend(backend);
        const found = [stored(family), rounded(family)].map((model) => {
          addLora(model, { rank: 3, seed: 2 });
          for (const [name, variable] of model.lora!.parameters)
            variable.assign(tf.mul(tf.tensor(random(name).normal(variable.size), variable.shape), 0.2));
          const loss = () => tf.sum(sequenceLogProbs(model, rows)) as tf.Scalar;
          const { gradients } = valueAndGradients(loss, trainableParameters(model));
          const before = score(model);
          mergeLora(model);
          closeTo(score(model), before, 1e-4);
          return [...gradients.values()].map((gradient) => gradient.dataSync());
        });
        for (const [i, gradient] of found[0]!.entries()) closeTo(gradient, found[1]![i]!, 1e-4);
      });

      it("reads a folder in bfloat16 into either, number by number", async () => {
        await tf.setBackend(backend);
        const folder = await mkdtemp(join(tmpdir(), "fdiv-half-"));
        try {
          const whole = rounded(family);
          await saveCausalLm(whole, folder, { dtype: "BF16" });
          const [half, floats] = [
            await loadCausalLm(folder, { trainable: false, storage: "bfloat16" }),
            await loadCausalLm(folder),
          ];
          for (const [name, tensor] of whole.parameters) {
            const expected = bfloat16ToFloat(floatToBfloat16(tensor.dataSync() as Float32Array));
            for (const loaded of [half, floats])
              expect(floatWeight(loaded.parameters.get(name)!).dataSync(), name).toEqual(expected);
          }
          expect([...half.parameters.values()].some(isHalfWeight)).toBe(true);
          for (const model of [whole, half, floats]) disposeModel(model);
        } finally {
          await rm(folder, { recursive: true });
        }
      });

      it("is copied, saved and made trainable with the values that it has", async () => {
        await tf.setBackend(backend);
        const [half, whole] = [stored(family), rounded(family)];
        const copy = copyModel(half);
        const before = score(half);
        const saved = new Map([...checkpointOf(half).tensors].map((tensor) => [tensor.name, tensor]));
        for (const [name, tensor] of whole.parameters) {
          expect(saved.get(name)!.shape).toEqual(tensor.shape);
          expect(await saved.get(name)!.read()).toEqual(tensor.dataSync());
        }
        disposeModel(half);
        expect(score(copy)).toEqual(before);
        unfreeze(copy);
        expect([...copy.parameters.values()].some(isHalfWeight)).toBe(false);
        closeTo(score(copy), before, 2e-5);
      });
    },
  );
});

/** Models of the other kinds, frozen, and what they compute of a batch. */
const others = {
  encoder: (storage: WeightStorage) => {
    const head = { task: "classification" as const, labels: ["a", "b", "c"] };
    const sizes = { vocabularySize: 32, hiddenSize: 16, layers: 3, heads: 4, initializerRange: 0.2 };
    const init = { seed: 1, trainable: false, storage };
    const model = createEncoder({ modelType: "bert", ...sizes, head }, init);
    const batch = encoderBatch([{ ids: [3, 7, 1] }, { ids: [5, 9] }]);
    return { model: model as Encoder | T5, score: (m: Encoder | T5) => classify(m as Encoder, batch) };
  },
  T5: (storage: WeightStorage) => {
    const sizes = { vocabularySize: 32, hiddenSize: 16, layers: 3, heads: 4 };
    const model = createT5({ ...sizes, gated: true }, { seed: 1, trainable: false, storage });
    const batch = t5Batch([{ input: [3, 7, 1], outputs: [[5, 9, 1], [4]] }], model.config);
    return { model: model as Encoder | T5, score: (m: Encoder | T5) => t5Logits(m as T5, batch) };
  },
};

describe.each(["wasm", "tensorflow"])("encoders and T5 in bfloat16 on %s", async (backend) => {
  const started = await startBackend({ backend }).catch((error: Error) => error);
  const isThere = !(started instanceof Error);
  const numbers = (x: tf.Tensor) => [...x.dataSync()];

  it.skipIf(!isThere).each(Object.entries(others))(
    `%s: computes, writes, adapts and lends its layers as the rounded weights do (skipped where ${backend} is missing)`,
    async (kind, make) => {
      await tf.setBackend(backend);
      const half = make("bfloat16");
      const whole = make("float32");
      // A head stays as it is.
      round(whole.model, (name) => kind === "T5" || /^bert\.(?!pooler)/.test(name));
      const bytes = ({ parameters }: Adaptable) => parameterBytes(parameters);
      expect(bytes(half.model)).toBeLessThan(0.6 * bytes(whole.model));
      const [got, expected] = [half, whole].map(({ model, score }) => numbers(score(model)));
      closeTo(got!, expected!, 1e-4);
      if (kind === "T5") {
        const inputs = [
          [3, 7, 1],
          [4, 1],
        ];
        const texts = await Promise.all(
          [half, whole].map(({ model }) => generateSeq2Seq(model as T5, { inputs, maxTokens: 8, seed: 3 })),
        );
        expect(texts[0]!.ids).toEqual(texts[1]!.ids);
      }
      for (const { model, score } of [half, whole]) {
        const student =
          kind === "T5" ? selectT5Layers(model as T5, 2) : selectEncoderLayers(model as Encoder, 2);
        expect([...student.parameters.values()].some(isHalfWeight)).toBe(false);
        expect(numbers(score(student)).every(Number.isFinite)).toBe(true);
        disposeModel(student);
      }
      const graded = [half, whole].map(({ model, score }) => {
        addLora(model, { rank: 3, seed: 2 });
        for (const [name, variable] of model.lora!.parameters)
          if (name.includes("lora_B"))
            variable.assign(tf.mul(tf.tensor(random(name).normal(variable.size), variable.shape), 0.2));
        const loss = () => tf.sum(tf.square(score(model))) as tf.Scalar;
        const { gradients } = valueAndGradients(loss, trainableParameters(model));
        return [...gradients.values()].map(numbers);
      });
      for (const [i, gradient] of graded[0]!.entries())
        closeTo(gradient, graded[1]![i]!, 1e-3 * Math.max(1, ...graded[1]![i]!.map(Math.abs)));
      for (const { model } of [half, whole]) disposeModel(model);
    },
  );
});

describe("refusals", () => {
  it("says what can't be stored in bfloat16, and where", async () => {
    await tf.setBackend("cpu");
    const make = (trainable: boolean) => () =>
      createCausalLm(tinyOptions.llama!, { seed: 1, trainable, storage: "bfloat16" });
    expect(make(true)).toThrow(/only frozen weights/);
    for (const other of Object.values(others))
      expect(() => other("bfloat16")).toThrow(/backend cpu can't compute with bfloat16 weights/);
    expect(make(false)).toThrow(
      /backend cpu can't compute with bfloat16 weights; tensorflow .* and wasm can/,
    );
  });
});
