import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { extrapolate } from "./anderson-step.ts";
import { costMatrix, type SinkhornOptions, sinkhorn } from "./index.ts";
import { number } from "./transport.testing.ts";

const cloud = (seed: number, points: number, scale: number) =>
  tf.mul(tf.randomNormal([points, 2], 0, 1, "float32", seed), scale);
const costOf = (seed: number, n: number, m: number, scale: number) =>
  costMatrix(cloud(seed, n, scale), cloud(seed + 1, m, scale));
const period = 5;

/** Both ways at one tolerance; a plain problem looks as often as Anderson's. */
function bothWays(cost: tf.Tensor, options: { lambda: number; maxIterations?: number; unbalanced?: number }) {
  const common = { tolerance: 1e-4, maxIterations: 3000, ...options };
  return [
    sinkhorn(cost, { ...common, checkEvery: period }),
    sinkhorn(cost, { ...common, acceleration: { kind: "anderson", period } }),
  ] as const;
}

beforeAll(async () => {
  await startBackend({ backend: process.env.FDIV_TEST_BACKEND ?? "wasm", threads: 1 });
});

describe("Anderson acceleration", () => {
  it("never takes much longer than plain iterations, and comes to the same plan", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e6 }),
        fc.integer({ min: 2, max: 8 }),
        fc.integer({ min: 2, max: 8 }),
        fc.constantFrom(0.5, 1, 1.5),
        fc.constantFrom(0.3, 0.1, 0.05, 0.02),
        (seed, n, m, scale, lambda) => {
          const [plain, found] = bothWays(costOf(seed, n, m, scale), { lambda });
          // A problem that the plain way doesn't solve in time says nothing.
          fc.pre(number(plain.iterations) < 1500);
          expect(number(found.converged)).toBe(1);
          expect(number(found.rowError)).toBeLessThan(1.2e-4);
          expect(number(found.iterations)).toBeLessThanOrEqual(1.5 * number(plain.iterations) + 4 * period);
          assertAllClose(found.value, plain.value, { absolute: 1e-3, relative: 2e-3 });
        },
      ),
      { numRuns: 50 },
    );
  });

  it("gains much where plain iterations are slow", () => {
    for (const [n, lambda, share] of [
      [24, 0.05, 0.35],
      [24, 0.02, 0.35],
      [12, 0.02, 0.5],
    ] as const) {
      const counts = [1, 21, 41].map((seed) => {
        const both = bothWays(costOf(seed, n, 30, 1), { lambda, maxIterations: 20000 });
        expect(number(both[1].converged)).toBe(1);
        return both.map(({ iterations }) => number(iterations)) as [number, number];
      });
      const [plain, found] = [0, 1].map((which) => counts.reduce((sum, pair) => sum + pair[which]!, 0));
      expect(plain).toBeGreaterThan(1000);
      expect(found).toBeLessThan(share * plain!);
    }
  });

  it("ends with the best plan that it came by when iterations run out", () => {
    for (const seed of [3, 5, 7]) {
      const cost = costOf(seed, 6, 5, 1.5);
      let before = Number.POSITIVE_INFINITY;
      for (const maxIterations of [5, 10, 20, 40, 80, 160]) {
        const [plain, found] = bothWays(cost, { lambda: 0.02, maxIterations });
        // The best is chosen by sums in double precision.
        expect(number(found.rowError)).toBeLessThanOrEqual(before + 1e-6);
        before = number(found.rowError);
        if (maxIterations <= period) assertAllClose(found.plan, plain.plan);
      }
    }
  });

  it("solves relaxed problems and each of a batch as if it were alone", () => {
    const costs = [costOf(1, 6, 5, 1), costOf(3, 6, 5, 0.3), costOf(5, 6, 5, 1.5)];
    for (const options of [{ lambda: 0.05 }, { lambda: 0.05, unbalanced: 0.5 }]) {
      const [plain, found] = bothWays(tf.stack(costs), options);
      assertAllClose(found.value, plain.value, { absolute: 1e-3, relative: 1e-3 });
      costs.forEach((cost, i) => {
        const [, alone] = bothWays(cost, options);
        expect(found.iterations.dataSync()[i]).toBe(number(alone.iterations));
        assertAllClose(tf.squeeze(tf.slice(found.plan, i, 1), [0]), alone.plan, { absolute: 1e-6 });
      });
    }
  });

  it("looks after each period, so that nothing else can be told", () => {
    const options = { lambda: 1, tolerance: 1e-3, checkEvery: 3, acceleration: { kind: "anderson" } };
    expect(() => sinkhorn(tf.zeros([2, 2]), options as SinkhornOptions)).toThrow(/checkEvery.*period/);
  });
});

describe("an extrapolation", () => {
  const step = (point: number[], image: number[]) => ({
    point: Float64Array.from(point),
    image: Float64Array.from(image),
  });

  it("finds the fixed point of a linear map from as many steps as it has dimensions, and one more", () => {
    const apply = ([x, y]: readonly number[]) => [0.9 * x! + 0.05 * y! + 1, 0.1 * x! + 0.7 * y! - 2];
    const points = [[0, 0], apply([0, 0])];
    points.push(apply(points[1]!));
    const found = extrapolate(points.map((point) => step(point, apply(point))))!;
    assertAllClose(Array.from(found), apply(Array.from(found)), { absolute: 1e-4 });
  });

  it("leaves steps out that make the weights explode, and gives none when all do", () => {
    expect(extrapolate([step([0], [1])])).toBeUndefined();
    expect(extrapolate([step([0], [1]), step([1], [2 - 1e-7])])).toBeUndefined();
    const found = extrapolate([step([0, 0], [1, 1e-9]), step([0.5, 0], [1.25, 0])])!;
    assertAllClose(Array.from(found), [2, 0], { absolute: 1e-3 });
  });
});
