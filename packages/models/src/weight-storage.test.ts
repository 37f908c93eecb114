import "@tensorflow/tfjs";
import {
  bfloat16ToFloat,
  floatToBfloat16,
  isHalfWeight,
  parameterBytes,
  random,
  valueAndGradients,
} from "@fdiv/tensor-core";
import { startBackend } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { type CausalLm, createCausalLm } from "./causal-lm.ts";
import { generate } from "./generate.ts";
import { addLora, mergeLora } from "./lora.ts";
import { checkpointOf } from "./node/save.ts";
import { copyModel, disposeModel, trainableParameters, unfreeze } from "./parameterised.ts";
import { sequenceLogProbs, tokenLogProbs } from "./scoring.ts";
import { tinyOptions } from "./testing/tiny-models.testing.ts";
import { tokenRows } from "./token-rows.ts";

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

/** A frozen model in float32 whose matrices have been rounded to bfloat16. */
function rounded(family: string): CausalLm {
  const model = createCausalLm(tinyOptions[family]!, { seed: 1, trainable: false });
  for (const [name, tensor] of model.parameters) {
    if (tensor.rank !== 2) continue;
    const values = bfloat16ToFloat(floatToBfloat16(tensor.dataSync() as Float32Array));
    model.parameters.set(name, tf.keep(tf.tensor(values, tensor.shape)));
    tensor.dispose();
  }
  return model;
}

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

describe("refusals", () => {
  it("says what can't be stored in bfloat16, and where", async () => {
    await tf.setBackend("cpu");
    const make = (trainable: boolean) => () =>
      createCausalLm(tinyOptions.llama!, { seed: 1, trainable, storage: "bfloat16" });
    expect(make(true)).toThrow(/only frozen weights/);
    expect(make(false)).toThrow(
      /backend cpu can't compute with bfloat16 weights; tensorflow .* and wasm can/,
    );
  });
});
