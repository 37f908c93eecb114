import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import {
  costMatrix,
  multiLevelDistillation,
  SinkhornError,
  sampleWiseSinkhorn,
  sinkhorn,
  sinkhornKd,
  sinkhornPlan,
} from "./index.ts";
import { number } from "./transport.testing.ts";

const normal = (seed: number, ...shape: number[]) => tf.randomNormal(shape, 0, 1, "float32", seed);
const pairOf = (seed: number, ...shape: number[]) => ({
  student: normal(seed, ...shape),
  teacher: normal(seed + 1, ...shape),
});

beforeAll(async () => {
  await startBackend({ backend: process.env.FDIV_TEST_BACKEND ?? "wasm", threads: 1 });
});

describe("losses tell how well their plans met the marginals", () => {
  it("as the solver does of the same problem", () => {
    const pair = pairOf(1, 8, 5);
    const points = [pair.student, pair.teacher].map((x) => tf.softmax(tf.div(x, 2)));
    const cost = costMatrix(points[0]!, points[1]!, "l1");
    for (const lambda of [0.1, 0.005]) {
      const alone = sinkhorn(cost, { lambda, marginals: "unit" });
      const { rowError, converged } = sinkhornKd(pair, { lambda });
      assertAllClose(rowError, [number(alone.rowError)]);
      expect(number(converged)).toBe(number(alone.converged));
    }
    expect(number(sinkhornKd(pair, { lambda: 0.005 }).converged)).toBe(0);
    const long = sinkhornKd(pair, { lambda: 0.05, transport: { tolerance: 1e-4 } });
    expect(number(long.converged)).toBe(1);
    expect(number(long.rowError)).toBeLessThan(2e-4);
  });

  it("for each sequence, of the worst term when debiased, and without a gradient", () => {
    const pair = pairOf(3, 3, 6, 5);
    const mask = tf.tensor2d([1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0], [3, 6]);
    const options = { lambda: 0.003, mask, formulation: { kind: "sequence" } } as const;
    const { rowError, converged } = sinkhornKd(pair, options);
    expect([rowError.shape, converged.shape, converged.dtype]).toEqual([[3], [3], "bool"]);
    const errors = rowError.dataSync();
    expect(errors[1]).toBeLessThan(1e-5);
    expect(errors[0]).toBeGreaterThan(1e-2);
    expect(Array.from(converged.dataSync())[1]).toBe(1);
    const debiased = sinkhornKd(pair, { ...options, debiased: true }).rowError.dataSync();
    debiased.forEach((error, i) => {
      expect(error).toBeGreaterThanOrEqual(errors[i]!);
    });
    const { student } = pair;
    const slope = tf.grad((x: tf.Tensor) => sinkhornKd({ ...pair, student: x }, options).rowError);
    expect(() => slope(student)).toThrow(/gradient/);
    const many = multiLevelDistillation(pair, { topK: 3, lambda: 0.2, transport: { tolerance: 1e-4 } });
    expect(many.rowError.shape).toEqual([3]);
    expect(number(tf.all(many.converged))).toBe(1);
    const none = sinkhornKd(pair, { mask: tf.zeros([3, 6]) });
    expect([number(none.rowError), number(none.converged)]).toEqual([0, 1]);
  });
});

describe("a tolerance that was stopped at is met", () => {
  it("within what single precision knows of the exponents", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e6 }),
        fc.constantFrom(1e-4, 1e-5, 1e-6),
        fc.constantFrom(0.1, 0.3),
        (seed, tolerance, lambda) => {
          const cost = costMatrix(tf.mul(normal(seed, 6, 2), 1.5), tf.mul(normal(seed + 1, 5, 2), 1.5));
          const found = sinkhorn(cost, { lambda, tolerance, maxIterations: 10000 });
          fc.pre(number(found.iterations) < 10000);
          expect(number(found.converged)).toBe(1);
        },
      ),
      { numRuns: 60 },
    );
    const cost = tf.tensor2d([0, 1, 2, 1, 0, 1, 2, 1, 0], [3, 3]);
    const marginals = { a: tf.tensor1d([0.7, 0.2, 0.1]), b: tf.tensor1d([0.1, 0.3, 0.6]) };
    const early = sinkhorn(cost, { lambda: 0.02, marginals, tolerance: 1e-6, maxIterations: 10 });
    expect(number(early.converged)).toBe(0);
  });
});

describe("a λ below what single precision resolves", () => {
  it.each([1e-5, 1e-7, 1e-8, 1e-12])("is refused by every loss at %d", (lambda) => {
    const pair = pairOf(5, 8, 5);
    const cost = tf.abs(normal(7, 6, 6));
    const ground = tf.abs(normal(8, 5, 5)) as tf.Tensor2D;
    for (const run of [
      () => sinkhornKd(pair, { lambda }),
      () => sinkhornKd(pair, { lambda, transport: { gradient: "implicit" } as object }),
      () => sampleWiseSinkhorn(pair, { lambda, ground, iterations: 20 }),
      () => sinkhornPlan(cost, { lambda }),
    ]) {
      expect(run).toThrow(SinkhornError);
      expect(run).toThrow(/too little for lambda .*take lambda of at least/);
    }
  });

  it("leaves those alone whose gradients are right", () => {
    const pair = pairOf(5, 8, 5);
    for (const lambda of [0.01, 1e-3, 1e-4]) expect(() => sinkhornKd(pair, { lambda })).not.toThrow();
    const cost = tf.randomUniform([6, 6], 0, 1, "float32", 1);
    expect(() => sinkhorn(cost, { lambda: 1e-6 })).not.toThrow();
    expect(() => sinkhorn(cost, { lambda: 1e-8 })).toThrow(SinkhornError);
    const annealed = { lambda: 1e-3, tolerance: 1e-4, annealing: { from: 1 } } as const;
    expect(() => sinkhorn(cost, annealed)).not.toThrow();
  });
});
