import "@tensorflow/tfjs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { valueAndGradients } from "@fdiv/tensor-core";
import { onEachBackend } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { beforeEach, describe, expect, it } from "vitest";
import { addLora } from "../lora.ts";
import { loadValueHead, saveValueHead } from "../node/value-head-folder.ts";
import { disposeModel, trainableParameters } from "../parameterised.ts";
import { createValueHead, disposeValueHead, type ValueHead } from "../value-head.ts";
import { t5Batch } from "./t5-batch.ts";
import { generateSeq2Seq } from "./t5-generate.ts";
import { createT5, type T5 } from "./t5-model.ts";
import { t5HiddenStates, t5TokenLogProbs } from "./t5-scoring.ts";
import { t5TokenLogProbsAndValues, t5TokenValues } from "./t5-value-head.ts";

const numbers = (x: tf.Tensor): number[] => Array.from(x.dataSync());
const sizes = { vocabularySize: 32, hiddenSize: 16, layers: 2, heads: 4 };
const kinds = {
  "1.0": () => createT5(sizes, { seed: 1 }),
  "1.1": () => createT5({ ...sizes, gated: true, tiedHead: false }, { seed: 1 }),
};
const items = [
  { input: [3, 7, 1], outputs: [[5, 9, 1], [4]] },
  { input: [8, 1], outputs: [[6, 1]] },
];

/** Gives the head numbers of its own. */
function stir({ parameters }: Pick<ValueHead, "parameters">): void {
  for (const name of ["v_head.weight", "v_head.bias"]) {
    const variable = parameters.get(name)!;
    const values = Array.from({ length: variable.size }, (_, i) => Math.sin(i + 1));
    tf.tidy(() => variable.assign(tf.tensor(values, variable.shape)));
  }
}

beforeEach(() => tf.setBackend("cpu").then(() => undefined));

describe.each(Object.entries(kinds))("a value head on T5 %s", (_, make) => {
  it("is a linear function of the decoder's state before each token, beside unchanged log-probabilities", () =>
    onEachBackend(["cpu", "wasm", "tensorflow"], () => {
      const model = make();
      const batch = t5Batch(items, model.config);
      const head = createValueHead(model);
      expect(numbers(t5TokenValues(model, head, batch))).toEqual(new Array(6).fill(0));
      stir(head);
      const { logProbs, values } = t5TokenLogProbsAndValues(model, head, batch);
      expect(numbers(logProbs)).toEqual(numbers(t5TokenLogProbs(model, batch)));
      // The head over the vocabulary takes scaled states, the values those before the scale.
      const scale = model.config.scaledHead ? model.config.hiddenSize ** 0.5 : 1;
      const states = t5HiddenStates(model, batch).arraySync();
      const expected = Array.from(batch.scored.state, (at) =>
        states[at]!.reduce((sum, x, k) => sum + scale * x * Math.sin(k + 1), Math.sin(1)),
      );
      numbers(values).forEach((value, t) => {
        expect(value).toBeCloseTo(expected[t]!, 3);
      });
      disposeValueHead(head);
      disposeModel(model);
    }));

  it("values what was drawn, whose laws are those it was drawn by", async () => {
    const model = make();
    const inputs = items.map(({ input }) => input);
    const { ids, policyLogProbs } = await generateSeq2Seq(model, { inputs, maxTokens: 7, seed: 5 });
    const batch = t5Batch(
      inputs.map((input, i) => ({ input, outputs: [ids[i]!] })),
      model.config,
    );
    const head = createValueHead(model, { trunk: "separate" });
    const scored = numbers(t5TokenLogProbsAndValues(model, head, batch).logProbs);
    policyLogProbs
      .flatMap((row) => [...row])
      .forEach((drawn, i) => {
        expect(Math.abs(drawn - scored[i]!)).toBeLessThan(1e-4);
      });
    disposeValueHead(head);
    disposeModel(model);
  });

  it.each(["whole", "adapter"])(
    "trains a shared trunk, and leaves the policy alone with one of its own (%s)",
    (kind) => {
      const before = tf.memory().numTensors;
      const model: T5 = make();
      const batch = t5Batch(items, model.config);
      if (kind === "adapter") addLora(model, { rank: 2 });
      const policy = trainableParameters(model);
      const gradientsWith = (head: ValueHead<T5>) => {
        stir(head);
        const { value, gradients } = valueAndGradients(
          () => tf.sum(tf.square(t5TokenLogProbsAndValues(model, head, batch).values)) as tf.Scalar,
          new Map([...policy, ...head.parameters]),
        );
        const names = [...gradients.keys()];
        tf.dispose([value, ...gradients.values()]);
        disposeValueHead(head);
        return names;
      };
      const shared = gradientsWith(createValueHead(model));
      expect(shared.filter((name) => policy.has(name)).length).toBeGreaterThan(3);
      expect(shared).toContain("v_head.weight");
      const separate = gradientsWith(createValueHead(model, { trunk: "separate" }));
      expect(separate.filter((name) => policy.has(name))).toEqual([]);
      expect(separate.filter((name) => name.startsWith("trunk.")).length).toBeGreaterThan(3);
      disposeModel(model);
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  it.each(["shared", "separate"] as const)("saved and read, a %s one says the same", async (trunk) => {
    const folder = join(await mkdtemp(join(tmpdir(), "fdiv-value-")), "value");
    const model = make();
    const batch = t5Batch(items, model.config);
    const head = createValueHead(model, { trunk });
    stir(head);
    await saveValueHead(head, folder);
    const read = await loadValueHead(model, folder);
    expect(read.trunk !== undefined).toBe(trunk === "separate");
    expect(new Set(read.parameters.keys())).toEqual(new Set(head.parameters.keys()));
    expect(numbers(t5TokenValues(model, read, batch))).toEqual(numbers(t5TokenValues(model, head, batch)));
  });
});
