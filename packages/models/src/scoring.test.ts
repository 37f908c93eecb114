import "@tensorflow/tfjs";
import { valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { createCausalLm } from "./causal-lm.ts";
import { disposeModel, trainableParameters } from "./parameterised.ts";
import {
  hiddenStates,
  logits,
  scoredStates,
  sequenceLogProbs,
  tokenEntropies,
  tokenLogProbs,
} from "./scoring.ts";
import { tinyOptions } from "./testing/tiny-models.testing.ts";
import { tokenRows } from "./token-rows.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const prompt = [3, 7, 1, 12];
const chosen = [5, 9, 2];
const rejected = [8, 8, 4, 6, 10];

const largestGap = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));

describe.each(Object.entries(tinyOptions))("%s", (_, options) => {
  it("scores a shared prompt as it scores the two sequences apart, gradients included", () => {
    const model = createCausalLm(options, { seed: 1 });
    const together = tokenRows([{ prompt, completions: [chosen, rejected] }]);
    const apart = tokenRows([
      { prompt, completions: [chosen] },
      { prompt, completions: [rejected] },
    ]);
    const grade = (rows: typeof apart) =>
      valueAndGradients(() => {
        const [a, b] = tf.unstack(sequenceLogProbs(model, rows)) as [tf.Scalar, tf.Scalar];
        return tf.sub(a, tf.mul(b, 0.7));
      }, trainableParameters(model));
    expect(
      largestGap(tokenLogProbs(model, together).dataSync(), tokenLogProbs(model, apart).dataSync()),
    ).toBeLessThan(1e-5);
    const one = grade(together);
    const two = grade(apart);
    expect([...one.gradients.keys()].sort()).toEqual([...model.parameters.keys()].sort());
    for (const [name, gradient] of one.gradients)
      expect(largestGap(gradient.dataSync(), two.gradients.get(name)!.dataSync()), name).toBeLessThan(2e-5);
    disposeModel(model);
  });

  it("computes the wanted states as it does all of them, in any order and more than once, gradients included", () => {
    if (options.slidingWindows) return;
    const model = createCausalLm(options, { seed: 4 });
    const rows = tokenRows([{ prompt, completions: [chosen, rejected] }]);
    const wanted = Int32Array.of(9, 3, 3, 0);
    const weights = tf.randomNormal([wanted.length, options.hiddenSize], 0, 1, "float32", 7);
    const grade = (states: () => tf.Tensor) =>
      valueAndGradients(
        () => tf.sum(tf.mul(states(), weights)) as tf.Scalar,
        new Map([...trainableParameters(model)].filter(([name]) => !name.startsWith("lm_head"))),
      );
    const some = grade(() => scoredStates(model, rows, wanted));
    const all = grade(() => tf.gather(hiddenStates(model, rows), tf.tensor1d(wanted, "int32")));
    expect(some.value.dataSync()[0]).toBeCloseTo(all.value.dataSync()[0]!, 4);
    for (const [name, gradient] of some.gradients)
      expect(largestGap(gradient.dataSync(), all.gradients.get(name)!.dataSync()), name).toBeLessThan(2e-5);
    disposeModel(model);
  });

  it("is not changed by padding on the right", () => {
    const model = createCausalLm(options, { seed: 2 });
    const short = { prompt, completions: [chosen] };
    const alone = tokenRows([short]);
    for (const padId of [0, 11]) {
      const padded = tokenRows([short, { prompt: [...prompt, 4, 4, 4], completions: [rejected] }], padId);
      const gap = largestGap(
        tokenLogProbs(model, alone).dataSync(),
        tokenLogProbs(model, padded).dataSync().slice(0, 3),
      );
      expect(gap).toBeLessThan(1e-5);
    }
    disposeModel(model);
  });

  it("gives log-probabilities, logits and entropies that agree", async () => {
    const model = createCausalLm(options, { seed: 3 });
    const rows = tokenRows([{ prompt, completions: [chosen, rejected] }]);
    const dense = tf.logSoftmax(logits(model, rows)).arraySync() as number[][];
    const scores = tokenLogProbs(model, rows, { chunk: 3 }).dataSync();
    const entropies = await tokenEntropies(model, rows, { chunk: 3 });
    dense.forEach((law, i) => {
      expect(scores[i]).toBeCloseTo(law[rows.scored.target[i]!]!, 5);
      expect(entropies[i]).toBeCloseTo(-law.reduce((sum, logp) => sum + Math.exp(logp) * logp, 0), 5);
    });
    if (options.slidingWindows) expect(() => hiddenStates(model, rows)).toThrow(/splitBranches/);
    else expect(hiddenStates(model, rows).shape).toEqual([rows.length, options.hiddenSize]);
    disposeModel(model);
  });

  it("frees what it makes", () => {
    const model = createCausalLm(options, { seed: 3 });
    const rows = tokenRows([{ prompt, completions: [chosen, rejected] }]);
    const score = () => {
      const { value, gradients } = valueAndGradients(
        () => tf.sum(sequenceLogProbs(model, rows)) as tf.Scalar,
        trainableParameters(model),
      );
      tf.dispose([value, ...gradients.values()]);
      sequenceLogProbs(model, rows).dispose();
    };
    score();
    const before = tf.memory().numTensors;
    score();
    expect(tf.memory().numTensors).toBe(before);
    disposeModel(model);
  });

  it("says when a sequence is longer than the model's positions", () => {
    const model = createCausalLm({ ...options, maxPositions: 6 }, { seed: 3 });
    const rows = tokenRows([{ prompt, completions: [chosen] }]);
    expect(() => tokenLogProbs(model, rows)).toThrow(/7 tokens.*6 positions/);
    disposeModel(model);
  });
});

it("refuses rows whose arrays do not fit", () => {
  const model = createCausalLm(tinyOptions.llama!, { seed: 1 });
  const rows = tokenRows([{ prompt, completions: [chosen] }]);
  expect(() => hiddenStates(model, { ...rows, length: 5 })).toThrow(/need 5 ids/);
  disposeModel(model);
});
