import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { roundPlan, type SinkhornOptions, sinkhorn, sinkhornDivergence } from "./index.ts";
import { exact, golden, matrix, number, randomCost, units } from "./transport.testing.ts";

beforeAll(async () => {
  await startBackend({ backend: process.env.FDIV_TEST_BACKEND ?? "wasm", threads: 1 });
});

describe("against POT", () => {
  it.each(golden.balanced)("plan and values of $n × $m at λ = $lambda", (given) => {
    const { n, m, lambda } = given;
    const cost = matrix(given.cost, n, m);
    const marginals = { a: tf.tensor1d(given.a), b: tf.tensor1d(given.b) };
    const found = sinkhorn(cost, { lambda, marginals, ...exact });
    assertAllClose(found.plan, given.plan, { absolute: 3e-6, relative: 2e-4 });
    assertAllClose(found.value, given.sharp, { relative: 1e-5 });
    const regularised = sinkhorn(cost, { lambda, marginals, ...exact, objective: "regularised" });
    assertAllClose(regularised.value, given.regularised, { relative: 1e-5 });
    expect(number(regularised.dualityGap)).toBeLessThan(1e-5);
    expect(number(found.rowError) + number(found.columnError)).toBeLessThan(2e-6);
    expect(given.emd).toBeLessThan(number(found.value) + 1e-6);
    const fixed = sinkhorn(cost, { lambda, marginals, iterations: 20 });
    assertAllClose(fixed.plan, given.fixed, { absolute: 3e-6, relative: 2e-4 });
    assertAllClose(fixed.value, given.fixedSharp, { absolute: 2e-6, relative: 1e-5 });
  });

  it.each(golden.unbalanced)("relaxed marginals, ρ = $rho", (given) => {
    const { n, m, lambda, rho } = given;
    const marginals = { a: tf.tensor1d(given.a), b: tf.tensor1d(given.b) };
    const options = { lambda, marginals, ...exact, unbalanced: rho };
    const found = sinkhorn(matrix(given.cost, n, m), { ...options, objective: "regularised" });
    assertAllClose(found.plan, given.plan, { absolute: 3e-6, relative: 2e-4 });
    assertAllClose(found.value, given.regularised, { absolute: 2e-6, relative: 1e-5 });
    expect(number(found.rowError) + number(found.columnError)).toBeLessThan(1e-5);
    expect(Math.abs(number(found.dualityGap))).toBeLessThan(1e-5);
    const early = sinkhorn(matrix(given.cost, n, m), {
      ...options,
      tolerance: undefined,
      iterations: 2,
      maxIterations: undefined,
    } as SinkhornOptions);
    expect(number(early.dualityGap)).toBeGreaterThan(number(found.dualityGap));
    const kernel = sinkhorn(matrix(given.cost, n, m), { ...options, domain: "kernel" });
    assertAllClose(kernel.plan, given.plan, { absolute: 3e-6, relative: 2e-4 });
  });

  it("a λ that float64 itself underflows at, against 60 digits", () => {
    const { n, lambda, iterations, cost, plan, sharp } = golden.tiny;
    const found = sinkhorn(matrix(cost, n, n), { lambda, iterations, ...units });
    // float32 costs near 1 are known to 6e-8, which λ makes 1e-4 of an exponent.
    assertAllClose(found.plan, plan, { absolute: 2e-3, relative: 2e-3 });
    assertAllClose(found.value, sharp, { relative: 2e-3 });
  });

  it("twenty iterations are not convergence at a small λ, and the result says so", () => {
    const cost = matrix(golden.unconverged.cost, 16, 16);
    for (const { lambda, paper, converged } of golden.unconverged.values) {
      const fixed = sinkhorn(cost, { lambda, iterations: 20, ...units });
      assertAllClose(fixed.value, paper, { relative: 1e-3 });
      expect(number(fixed.converged)).toBe(0);
      const long = sinkhorn(cost, { lambda, tolerance: 1e-3, maxIterations: 50000, ...units });
      assertAllClose(long.value, converged, { relative: 2e-3 });
      expect(number(long.converged)).toBe(1);
      expect(number(long.iterations)).toBeGreaterThan(20);
    }
  });
});

describe("closed forms", () => {
  it("two points: the plan of Cuturi's example, and 2c·e^(−c/λ)/(1 + e^(−c/λ))", () => {
    const found = sinkhorn(matrix([0, 1, 1, 0], 2, 2), { lambda: 1 });
    assertAllClose(found.plan, [0.36552929, 0.13447071, 0.13447071, 0.36552929], { absolute: 1e-7 });
    for (const [c, lambda] of [
      [1, 1],
      [0.3, 0.1],
      [2, 0.1],
      [5, 2],
    ] as const) {
      const e = Math.exp(-c / lambda);
      const { value } = sinkhorn(matrix([0, c, c, 0], 2, 2), { lambda, ...units });
      assertAllClose(value, (2 * c * e) / (1 + e), { absolute: 1e-9, relative: 1e-5 });
    }
  });

  it("λ → ∞ is n·mean(D), λ → 0 the assignment", () => {
    const cost = randomCost(5, 6, 6);
    assertAllClose(sinkhorn(cost, { lambda: 1e5, ...units }).value, 6 * number(tf.mean(cost)), {
      relative: 1e-4,
    });
    const values = [0, 2, 3, 1, 0, 4, 2, 3, 0].map((x) => x + 0.5);
    assertAllClose(sinkhorn(matrix(values, 3, 3), { lambda: 0.01, iterations: 200, ...units }).value, 1.5, {
      relative: 1e-4,
    });
  });

  it("one row moves all it has, one point costs its distance", () => {
    assertAllClose(sinkhorn(matrix([3], 1, 1), { lambda: 0.1, ...units }).value, 3);
    assertAllClose(sinkhorn(matrix([1, 2, 6], 1, 3), { lambda: 0.1 }).value, 3);
  });
});

describe("properties", () => {
  const seeds = fc.integer({ min: 0, max: 1e6 });
  const few = { numRuns: 20 };

  it("L(kD, kλ) = k·L(D, λ)", () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom(0.01, 3, 100), (seed, k) => {
        const cost = randomCost(seed, 5, 4);
        const one = number(sinkhorn(cost, { lambda: 0.07 }).value);
        const other = number(sinkhorn(tf.mul(cost, k), { lambda: 0.07 * k }).value);
        expect(other / k).toBeCloseTo(one, 5);
      }),
      few,
    );
  });

  it("an order of the points, a transposed cost and a shifted one change what they must", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const cost = randomCost(seed, 5, 5);
        const found = sinkhorn(cost, { lambda: 0.1, ...exact });
        const order = tf.tensor1d([3, 0, 4, 1, 2], "int32");
        const moved = sinkhorn(tf.gather(tf.gather(cost, order), order, 1), { lambda: 0.1, ...exact });
        assertAllClose(moved.value, found.value);
        assertAllClose(moved.plan, tf.gather(tf.gather(found.plan, order), order, 1), { absolute: 1e-5 });
        assertAllClose(sinkhorn(tf.transpose(cost), { lambda: 0.1, ...exact }).value, found.value);
        assertAllClose(sinkhorn(tf.add(cost, 2), { lambda: 0.1, ...exact }).plan, found.plan, {
          absolute: 2e-5,
        });
      }),
      few,
    );
  });

  it("sums are the masses, and a rounded plan's exactly; its primal value bounds the dual", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), (seed, n, m) => {
        const cost = randomCost(seed, n, m);
        const [a, b] = [tf.fill([n], 1 / n), tf.fill([m], 1 / m)];
        const { plan, value } = sinkhorn(cost, { lambda: 0.02, iterations: 3 });
        assertAllClose(tf.sum(plan, 0), b, { absolute: 1e-6 });
        const rounded = roundPlan(plan, a, b);
        assertAllClose(tf.sum(rounded, 0), b, { absolute: 1e-6 });
        assertAllClose(tf.sum(rounded, 1), a, { absolute: 1e-6 });
        expect(number(tf.min(rounded))).toBeGreaterThanOrEqual(0);
        expect(number(tf.sum(tf.mul(rounded, cost)))).toBeGreaterThan(0);
        expect(number(value)).toBeGreaterThan(0);
      }),
      few,
    );
  });

  it("S(p, p) = 0, S is symmetric and not negative", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const [x, y] = [randomCost(seed, 5, 3), randomCost(seed + 1, 4, 3)];
        for (const cost of ["l1", "squaredEuclidean"] as const) {
          const options = { lambda: 0.1, cost, tolerance: 1e-6 };
          expect(number(sinkhornDivergence(x, x, options))).toBe(0);
          const there = number(sinkhornDivergence(x, y, options));
          expect(there).toBeGreaterThan(-1e-6);
          expect(number(sinkhornDivergence(y, x, options))).toBeCloseTo(there, 5);
        }
      }),
      few,
    );
  });
});
