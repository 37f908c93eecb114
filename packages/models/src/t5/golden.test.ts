import "@tensorflow/tfjs";
import { readdirSync, readFileSync } from "node:fs";
import { valueAndGradients } from "@fdiv/tensor-core";
import { onEachBackend } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import type { Json } from "../json-field.ts";
import { disposeModel, trainableParameters } from "../parameterised.ts";
import { hashedTensors, probesOf } from "../testing/hashed-values.testing.ts";
import { distanceBucket } from "./relative-bias.ts";
import { t5Batch } from "./t5-batch.ts";
import { t5ConfigFrom, t5ConfigJson } from "./t5-config.ts";
import { generateSeq2Seq } from "./t5-generate.ts";
import { type T5, t5From } from "./t5-model.ts";
import { t5Parameters } from "./t5-parameters.ts";
import { seq2seqLogProbs, t5EncoderStates, t5Logits, t5TokenLogProbs } from "./t5-scoring.ts";

interface Golden {
  config: Json;
  inputs: number[][];
  outputs: number[][];
  states: number[];
  logits: number[];
  logProbs: number[];
  gradients: Record<string, [number, number]>;
  greedy: number[][];
}

interface Buckets {
  bidirectional: boolean;
  buckets: number;
  maxDistance: number;
  expected: number[];
}

const folder = new URL("./golden/", import.meta.url);
const read = (name: string) => JSON.parse(readFileSync(new URL(name, folder), "utf8"));
const cases = readdirSync(folder).filter((name) => name !== "buckets.json");

function modelOf(json: Json): Promise<T5> {
  const config = t5ConfigFrom(json);
  return t5From({ config, tensors: hashedTensors(t5Parameters(config)) });
}

function expectClose(got: ArrayLike<number>, expected: number[], what: string): void {
  expect(got.length).toBe(expected.length);
  for (const [i, value] of expected.entries())
    expect(Math.abs(got[i]! - value), `${what} ${i}`).toBeLessThan(1e-4 * Math.max(1, Math.abs(value)));
}

it("puts distances into transformers' buckets", () => {
  for (const { bidirectional, buckets, maxDistance, expected } of read("buckets.json") as Buckets[])
    expect(
      expected.map((_, i) => distanceBucket(i - 300, bidirectional, buckets, maxDistance)),
      `${bidirectional} ${buckets} ${maxDistance}`,
    ).toEqual(expected);
});

it("has its golden files", () => {
  expect(cases.length).toBe(3);
});

describe.each(cases)("%s", (file) => {
  const golden = read(file) as Golden;
  const { inputs, outputs } = golden;
  const items = inputs.map((input, i) => ({ input, outputs: [outputs[i]!] }));

  it.each([false, true])(
    "computes what transformers computes, gradients too (layers computed anew: %s)",
    (anew) =>
      onEachBackend(["cpu", "wasm", "tensorflow"], async () => {
        const model = await modelOf(golden.config);
        model.gradientCheckpointing = anew;
        const batch = t5Batch(items, model.config);
        const encoded = t5EncoderStates(model, batch.inputs);
        const states = inputs.flatMap(({ length }, row) =>
          Array.from(tf.slice(encoded, [row, 0, 0], [1, length, -1]).dataSync()),
        );
        expectClose(states, golden.states, "encoder's state");
        expectClose(t5Logits(model, batch).dataSync(), golden.logits, "logit");
        expectClose(t5TokenLogProbs(model, batch).dataSync(), golden.logProbs, "log-probability");
        const { value, gradients } = valueAndGradients(
          () => tf.neg(tf.mean(t5TokenLogProbs(model, batch))),
          trainableParameters(model),
        );
        const probes = probesOf(gradients);
        expect(new Set(probes.keys())).toEqual(new Set(Object.keys(golden.gradients)));
        for (const [name, [length, product]] of Object.entries(golden.gradients)) {
          expect(Math.abs(probes.get(name)![0] - length), name).toBeLessThan(1e-4 * length + 1e-5);
          expect(Math.abs(probes.get(name)![1] - product), name).toBeLessThan(2e-4 * length + 1e-5);
        }
        tf.dispose([value, ...gradients.values()]);
        disposeModel(model);
      }),
  );

  it("writes greedily what transformers writes, and knows its log-probability", () =>
    onEachBackend(["cpu", "wasm", "tensorflow"], async () => {
      const model = await modelOf(golden.config);
      const { ids, policyLogProbs } = await generateSeq2Seq(model, { inputs, maxTokens: 12, temperature: 0 });
      ids.forEach((row, i) => {
        const padded = [...row, ...new Array(12).fill(0)].slice(0, golden.greedy[i]!.length);
        expect(padded).toEqual(golden.greedy[i]);
      });
      const scored = t5Batch(
        inputs.map((input, i) => ({ input, outputs: [ids[i]!] })),
        model.config,
      );
      const sums = policyLogProbs.map((row) => row.reduce((a, b) => a + b, 0));
      expectClose(seq2seqLogProbs(model, scored).dataSync(), sums, "log-probability");
      disposeModel(model);
    }));

  it("computes the same from the config that it writes", async () => {
    await tf.setBackend("cpu");
    const once = await modelOf(golden.config);
    const again = await modelOf(t5ConfigJson({ ...once.config, huggingFace: {} }));
    expect({ ...again.config, huggingFace: {} }).toEqual({ ...once.config, huggingFace: {} });
    const batch = t5Batch(items, once.config);
    expect(t5Logits(again, batch).dataSync()).toEqual(t5Logits(once, batch).dataSync());
  });
});
