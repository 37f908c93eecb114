import "@tensorflow/tfjs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { createCausalLm } from "./causal-lm.ts";
import { addLora } from "./lora.ts";
import { loadValueHead, saveValueHead } from "./node/value-head-folder.ts";
import { disposeModel, trainableParameters } from "./parameterised.ts";
import { hiddenStates, tokenLogProbs } from "./scoring.ts";
import { tinyOptions } from "./testing/tiny-models.testing.ts";
import { tokenRows } from "./token-rows.ts";
import {
  createValueHead,
  disposeValueHead,
  tokenLogProbsAndValues,
  tokenValues,
  type ValueHead,
} from "./value-head.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const rows = tokenRows([
  { prompt: [3, 7, 1], completions: [[5, 9, 2]] },
  { prompt: [4], completions: [[8, 2]] },
]);

/** Gives the head numbers of its own. */
function stir({ parameters }: ValueHead): void {
  for (const name of ["v_head.weight", "v_head.bias"]) {
    const variable = parameters.get(name)!;
    const values = Array.from({ length: variable.size }, (_, i) => Math.sin(i + 1));
    tf.tidy(() => variable.assign(tf.tensor(values, variable.shape)));
  }
}
const numbers = (x: tf.Tensor): number[] => Array.from(x.dataSync());

describe.each(Object.entries(tinyOptions))("a value head on %s", (_, options) => {
  it("is a linear function of the state before each token, from 0, beside unchanged log-probabilities", () => {
    const model = createCausalLm(options, { seed: 1 });
    const head = createValueHead(model);
    expect(numbers(tokenValues(model, head, rows))).toEqual([0, 0, 0, 0, 0]);
    stir(head);
    const { logProbs, values } = tokenLogProbsAndValues(model, head, rows);
    expect(numbers(logProbs)).toEqual(numbers(tokenLogProbs(model, rows)));
    const states = hiddenStates(model, rows).arraySync();
    const expected = Array.from(rows.scored.state, (at) =>
      states[at]!.reduce((sum, x, k) => sum + x * Math.sin(k + 1), Math.sin(1)),
    );
    numbers(values).forEach((value, t) => {
      expect(value).toBeCloseTo(expected[t]!, 4);
    });
    disposeValueHead(head);
    disposeModel(model);
  });

  it.each(["whole", "adapter"])(
    "trains a shared trunk, and leaves the policy alone with one of its own (%s)",
    (kind) => {
      const before = tf.memory().numTensors;
      const model = createCausalLm(options, { seed: 1 });
      if (kind === "adapter") addLora(model, { rank: 2 });
      const policy = trainableParameters(model);
      const gradientsWith = (head: ValueHead) => {
        stir(head);
        const all = new Map([...policy, ...head.parameters]);
        const { value, gradients } = valueAndGradients(
          () => tf.sum(tf.square(tokenLogProbsAndValues(model, head, rows).values)) as tf.Scalar,
          all,
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
});

it("a copy of the trunk is read, not the policy that has moved on", () => {
  const model = createCausalLm(tinyOptions.llama!, { seed: 1 });
  const head = createValueHead(model, { trunk: "separate" });
  stir(head);
  const before = numbers(tokenValues(model, head, rows));
  const [name] = model.parameters.keys();
  const moved = model.parameters.get(name!) as tf.Variable;
  moved.assign(tf.mul(moved, 2));
  expect(numbers(tokenValues(model, head, rows))).toEqual(before);
});

it.each(["shared", "separate"] as const)("saved and read, a %s one says the same", async (trunk) => {
  const folder = join(await mkdtemp(join(tmpdir(), "fdiv-value-")), "value");
  const model = createCausalLm(tinyOptions.llama!, { seed: 1 });
  const head = createValueHead(model, { trunk });
  stir(head);
  await saveValueHead(head, folder);
  await saveValueHead(head, folder);
  const read = await loadValueHead(model, folder);
  expect(read.trunk !== undefined).toBe(trunk === "separate");
  expect([...read.parameters.keys()].length).toBe([...head.parameters.keys()].length);
  expect(numbers(tokenValues(model, read, rows))).toEqual(numbers(tokenValues(model, head, rows)));
  const other = createCausalLm({ ...tinyOptions.llama!, hiddenSize: 32 }, { seed: 1 });
  await expect(loadValueHead(other, folder)).rejects.toThrow(/another model's value head/);
});
