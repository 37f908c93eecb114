import "@tensorflow/tfjs";
import { valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { type CausalLm, createCausalLm } from "./causal-lm.ts";
import { addLora } from "./lora.ts";
import { disposeModel, trainableParameters } from "./parameterised.ts";
import { sequenceLogProbs } from "./scoring.ts";
import { tinyOptions } from "./testing/tiny-models.testing.ts";
import { tokenRows } from "./token-rows.ts";
import { activationBytes } from "./training-memory.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const rows = tokenRows([
  {
    prompt: [3, 7, 1, 12],
    completions: [
      [5, 9, 2],
      [8, 8, 4, 6, 10],
    ],
  },
  { prompt: [2, 4], completions: [[1], [3, 3]] },
]);

function grade(model: CausalLm, gradientCheckpointing: boolean) {
  model.gradientCheckpointing = gradientCheckpointing;
  return valueAndGradients(
    () => tf.sum(sequenceLogProbs(model, rows)) as tf.Scalar,
    trainableParameters(model),
  );
}

describe.each(Object.entries(tinyOptions))("%s", (_, options) => {
  it.each(["weights", "an adapter"])(
    "trains %s by the same gradients when layers are computed anew",
    (what) => {
      const lora = what === "an adapter";
      const model = createCausalLm(options, { seed: 1, trainable: !lora });
      if (lora) {
        addLora(model, { rank: 2, seed: 3 });
        for (const { b } of model.lora!.adapters.values()) b.assign(tf.randomNormal(b.shape, 0, 0.1));
      }
      const plain = grade(model, false);
      const before = tf.memory().numTensors;
      const again = grade(model, true);
      expect(again.value.dataSync()).toEqual(plain.value.dataSync());
      expect([...again.gradients.keys()].sort()).toEqual([...plain.gradients.keys()].sort());
      for (const [name, gradient] of again.gradients) {
        const expected = plain.gradients.get(name)!.dataSync();
        gradient.dataSync().forEach((value, i) => {
          expect(value, name).toBeCloseTo(expected[i]!, 5);
        });
      }
      tf.dispose([again.value, ...again.gradients.values()]);
      expect(tf.memory().numTensors).toBe(before);
      disposeModel(model);
    },
  );
});

/** Bytes of what the tape keeps, each buffer counted once; `tf.memory` counts every handle. */
function keptBytes(parameters: tf.Tensor[]): number {
  const engine = tf.engine() as unknown as { state: { activeTape: { saved?: tf.Tensor[] }[] } };
  const seen = new Set<object>(parameters.map(({ dataId }) => dataId));
  let bytes = 0;
  for (const { saved = [] } of engine.state.activeTape)
    for (const { dataId, size } of saved) {
      if (!seen.has(dataId)) bytes += 4 * size;
      seen.add(dataId);
    }
  return bytes;
}

it("estimates activations of the size that training has, and far less when layers are computed anew", () => {
  const model = createCausalLm(
    {
      modelType: "llama",
      vocabularySize: 97,
      hiddenSize: 64,
      layers: 6,
      heads: 4,
      kvHeads: 2,
      intermediateSize: 128,
      maxPositions: 128,
    },
    { seed: 1 },
  );
  const draw = (length: number) => Array.from({ length }, (_, i) => (i * 7) % 97);
  const long = tokenRows([{ prompt: draw(20), completions: [draw(40), draw(50)] }]);
  const tokens = long.rows * long.length;
  const parameters = trainableParameters(model);
  const peaks = [false, true].map((gradientCheckpointing) => {
    model.gradientCheckpointing = gradientCheckpointing;
    let peak = 0;
    const { value, gradients } = valueAndGradients(() => {
      const loss = tf.sum(sequenceLogProbs(model, long)) as tf.Scalar;
      peak = keptBytes([...parameters.values()]);
      return loss;
    }, parameters);
    tf.dispose([value, ...gradients.values()]);
    return peak;
  });
  const expected = [false, true].map((gradientCheckpointing) =>
    activationBytes(model.config, { tokens, gradientCheckpointing, trains: "weights" }),
  );
  expect(peaks[1]!).toBeLessThan(0.4 * peaks[0]!);
  // The estimate is of the height of the backward pass, which comes on top of what the forward pass has kept.
  expect(expected[0]! / peaks[0]!).toBeGreaterThan(1);
  expect(expected[0]! / peaks[0]!).toBeLessThan(1.5);
  expect(expected[1]!).toBeLessThan(0.6 * expected[0]!);
  disposeModel(model);
});
