import { readFileSync } from "node:fs";
import "@tensorflow/tfjs";
import { divergence, forwardKl, jensenShannon, reverseKl, totalVariation } from "@fdiv/divergences";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import {
  generalisedJensenShannon,
  logitDistillation,
  skewForwardKl,
  skewReverseKl,
  universalLogitDistance,
} from "./index.ts";
import { randomLogits } from "./random-logits.testing.ts";
import { number } from "./transport.testing.ts";

interface Loss {
  value: number[];
  dstudent: number[];
}

const golden: { logits: { student: number[]; teacher: number[]; losses: Record<string, Loss> } } = JSON.parse(
  readFileSync(new URL("golden/sinkhorn.json", import.meta.url), "utf8"),
);
const { pairOf } = randomLogits(100);
const given = () => ({
  student: tf.tensor2d(golden.logits.student, [5, 9]),
  teacher: tf.tensor2d(golden.logits.teacher, [5, 9]),
});

beforeAll(async () => {
  await startBackend({ backend: process.env.FDIV_TEST_BACKEND ?? "wasm", threads: 1 });
});

describe("divergences of logits", () => {
  const named = {
    "gjs:0.3": generalisedJensenShannon(0.3),
    "gjs:0.9": generalisedJensenShannon(0.9),
    "gjs:0.1:scaled": generalisedJensenShannon(0.1, { scaled: true }),
    "skew-forward:0.1": skewForwardKl(0.1),
    "skew-reverse:0.1": skewReverseKl(0.1),
  };
  const weights = tf.tidy(() => [1, 2, 3, 4, 5]);

  it.each(Object.keys(golden.logits.losses))("%s against PyTorch in double precision", (name) => {
    const expected = golden.logits.losses[name]!;
    const { student, teacher } = given();
    const run = (x: tf.Tensor): tf.Tensor1D => {
      if (name === "uld") return universalLogitDistance({ student: x, teacher }, { temperature: 2 });
      const d = named[name as keyof typeof named] ?? name;
      return logitDistillation({ student: x, teacher }, { divergence: d, temperature: 2, chunk: 4 });
    };
    assertAllClose(run(student), expected.value, { absolute: 2e-6, relative: 2e-5 });
    const g = tf.grad((x: tf.Tensor) => tf.sum(tf.mul(run(x), tf.tensor1d(weights))))(student);
    assertAllClose(g, expected.dstudent, { absolute: 1e-5, relative: 1e-4 });
  });

  it("generalised JS: half of the sum form in the middle, KL at its scaled ends, and continuous there", () => {
    const pair = given();
    const at = (d: Parameters<typeof logitDistillation>[1]) => logitDistillation(pair, d);
    assertAllClose(
      at({ divergence: generalisedJensenShannon(0.5) }),
      tf.mul(0.5, at({ divergence: jensenShannon })),
    );
    for (const [end, near, d] of [
      [0, 1e-4, forwardKl],
      [1, 1 - 1e-4, reverseKl],
    ] as const) {
      const scaled = (beta: number) => generalisedJensenShannon(beta, { scaled: true });
      expect(scaled(end)).toBe(d);
      assertAllClose(at({ divergence: scaled(near) }), at({ divergence: d }), { relative: 2e-2 });
      expect(() => generalisedJensenShannon(end)).toThrow(/scaled, it is/);
    }
    expect(() => generalisedJensenShannon(1.1)).toThrow(/beta is 1.1/);
    expect(skewForwardKl(0)).toBe(forwardKl);
    expect(skewReverseKl(0)).toBe(reverseKl);
    expect(() => skewForwardKl(1)).toThrow(/alpha is 1/);
  });

  it("interpolated divergences: value, score and weight are each other's derivatives, on numbers", () => {
    fc.assert(
      fc.property(
        fc.double({ min: -8, max: 8, noNaN: true }),
        fc.double({ min: 0.05, max: 0.95, noNaN: true }),
        (l, beta) => {
          const b = Math.round(beta * 20) / 20;
          for (const d of [generalisedJensenShannon(b), skewForwardKl(b), skewReverseKl(b)]) {
            const h = 1e-5;
            const slope = (f: (x: number) => number) => (f(l + h) - f(l - h)) / (2 * h);
            const scale = Math.exp(Math.max(l, 0));
            expect(Math.abs(slope(d.value) - Math.exp(l) * d.score(l))).toBeLessThan(1e-6 * scale);
            expect(Math.abs(slope(d.score) - d.weight(l))).toBeLessThan(1e-6);
            expect(d.value(l)).toBeGreaterThanOrEqual(-1e-12);
            const [u, f] = [Math.exp(l), d.dual().value(-l)];
            expect(Math.abs(u * f - d.value(l))).toBeLessThan(1e-9 * scale);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("chunks change nothing, masks leave tokens out, sequences are sums", () => {
    const pair = pairOf(2, 3, 11);
    const flatPair = {
      student: tf.reshape(pair.student, [6, 11]),
      teacher: tf.reshape(pair.teacher, [6, 11]),
    };
    const whole = logitDistillation(flatPair);
    for (const chunk of [1, 4, 11, 50]) assertAllClose(logitDistillation(flatPair, { chunk }), whole);
    const mask = tf.tensor2d([1, 0, 1, 1, 1, 0], [2, 3]);
    const spoilt = tf.mul(flatPair.student, tf.tensor2d([1, Number.NaN, 1, 1, 1, Number.NaN], [6, 1]));
    const f = (x: tf.Tensor) =>
      logitDistillation({ student: tf.reshape(x, [2, 3, 11]), teacher: pair.teacher }, { mask });
    const losses = f(spoilt);
    assertAllClose(losses, tf.mul(whole, [1, 0, 1, 1, 1, 0]));
    const values = whole.dataSync();
    const sums = [values[0]! + values[2]!, values[3]! + values[4]!];
    const sequence = { level: "sequence", mask } as const;
    assertAllClose(logitDistillation(pair, sequence), sums);
    assertAllClose(
      logitDistillation(pair, { ...sequence, mean: true }),
      sums.map((x) => x / 2),
    );
    const sequences = tf.tensor1d([0, 2, 0, 1, 1, 2], "int32");
    const grouped = logitDistillation(flatPair, { level: "sequence", sequences, count: 3 });
    assertAllClose(grouped, [values[0]! + values[2]!, values[3]! + values[4]!, values[1]! + values[5]!]);
    expect(() => logitDistillation(flatPair, { level: "sequence" })).toThrow(/tell the sequences/);
    assertAllClose(
      logitDistillation(flatPair, { temperatureSquared: true, temperature: 3 }),
      tf.mul(9, logitDistillation(flatPair, { temperature: 3 })),
    );
  });

  it("extreme logits and masked vocabularies are finite, with finite gradients", () => {
    for (const d of [
      forwardKl,
      reverseKl,
      jensenShannon,
      totalVariation,
      generalisedJensenShannon(0.4),
      skewForwardKl(0.1),
      divergence("squared-hellinger"),
    ]) {
      const f = (student: tf.Tensor) =>
        tf.sum(
          logitDistillation(
            { student, teacher: tf.tensor2d([-40, 40, 0, -Infinity], [1, 4]) },
            { divergence: d },
          ),
        ) as tf.Scalar;
      const { value, grad } = tf.valueAndGrad(f)(tf.tensor2d([40, -40, 1, -Infinity], [1, 4]));
      expect([d.name, Number.isFinite(number(value))]).toEqual([d.name, true]);
      expect([d.name, number(tf.all(tf.isFinite(grad)))]).toEqual([d.name, 1]);
    }
  });
});
