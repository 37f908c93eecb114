import { readFileSync } from "node:fs";
import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose, assertNoLeak, gradientCheck } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import {
  costMatrix,
  KernelUnderflowError,
  roundPlan,
  SinkhornError,
  type SinkhornOptions,
  sinkhorn,
  sinkhornDivergence,
  sinkhornPlan,
} from "./index.ts";

/** What the cases hold, each some of it. */
// biome-ignore lint/suspicious/noExplicitAny: numbers and lists of them, as the oracle wrote them.
type Golden = Record<string, any>;
interface Values {
  value: number;
  cost: number[];
  a: number[];
  b: number[];
}
const golden: {
  balanced: (Golden & { sharp: number; regularised: number })[];
  unbalanced: (Golden & { sharp: number; regularised: number })[];
  gradients: (Golden & { sharp: Values; regularised: Values })[];
  divergence: Golden[];
  tiny: Golden & { sharp: number };
  unconverged: { cost: number[]; values: { lambda: number; paper: number; converged: number }[] };
} = JSON.parse(readFileSync(new URL("golden/sinkhorn.json", import.meta.url), "utf8"));
const number = (x: tf.Tensor): number => x.dataSync()[0]!;
const matrix = (values: number[], n: number, m: number) => tf.tensor2d(values, [n, m]);
const exact = { tolerance: 2e-7, maxIterations: 20000 } as const;
const units = { marginals: "unit" } as const;

beforeAll(async () => {
  await startBackend({ backend: process.env.FDIV_TEST_BACKEND ?? "wasm", threads: 1 });
});

/** A cost of random numbers in [0, 1) made from a seed, so that a failure names its inputs. */
function randomCost(seed: number, n: number, m: number): tf.Tensor2D {
  return tf.randomUniform([n, m], 0, 1, "float32", seed) as tf.Tensor2D;
}

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

describe("gradients", () => {
  it.each(golden.gradients)(
    "$n × $m, λ = $lambda, $iterations iterations, against PyTorch in double precision",
    (given) => {
      const { n, m, lambda, iterations } = given;
      const isConverged = iterations >= 4000;
      const inputs = [matrix(given.cost, n, m), tf.tensor1d(given.a), tf.tensor1d(given.b)];
      const of = (options: Partial<SinkhornOptions>) =>
        tf.valueAndGrads(
          (cost, a, b) =>
            sinkhorn(cost!, {
              lambda,
              iterations: Math.min(iterations, 1500),
              marginals: { a: a!, b: b! },
              ...options,
            } as SinkhornOptions).value as tf.Scalar,
        )(inputs);
      for (const objective of ["sharp", "regularised"] as const)
        for (const gradient of ["unrolled", "implicit", "envelope"] as const) {
          if (gradient === "envelope" && objective === "sharp") continue;
          if (gradient !== "unrolled" && !isConverged) continue;
          const expected = given[objective];
          const { value, grads } = of({ objective, gradient } as Partial<SinkhornOptions>);
          assertAllClose(value, expected.value, { absolute: 1e-5, relative: 1e-5 });
          assertAllClose(grads[0]!, expected.cost, { absolute: 1e-4, relative: 2e-3 });
          // At the fixed point a constant moves freely between the two marginals' gradients.
          grads.slice(1).forEach((found, side) => {
            const wanted = expected[side === 0 ? "a" : "b"] as number[];
            const values = Array.from(found.dataSync());
            const mean = (x: number[]) => x.reduce((sum, value) => sum + value, 0) / x.length;
            const shift = isConverged ? mean(wanted) - mean(values) : 0;
            assertAllClose(
              values.map((value) => value + shift),
              wanted,
              { absolute: 1e-4, relative: 2e-3 },
            );
          });
        }
    },
  );

  it("against differences: momentum, annealing, relaxed marginals, one side relaxed, the plan itself", () => {
    const cost = randomCost(3, 4, 3);
    const cases: SinkhornOptions[] = [
      { lambda: 0.2, iterations: 5, acceleration: { kind: "momentum", relaxation: 1.3 } },
      { lambda: 0.15, iterations: 3, annealing: { from: 1, iterations: 2 } },
      { lambda: 0.2, iterations: 4, unbalanced: 0.5 },
      { lambda: 0.2, iterations: 4, unbalanced: 0.5, objective: "regularised", gradient: "unrolled" },
      {
        lambda: 0.2,
        ...exact,
        unbalanced: { rows: 0.4, columns: Infinity },
        objective: "regularised",
        gradient: "implicit",
      },
      { lambda: 0.2, ...exact, unbalanced: 0.7 },
      { lambda: 0.2, ...exact, unbalanced: 0.7, objective: "regularised" },
      { lambda: 0.2, ...exact, acceleration: { kind: "anderson" } },
      { lambda: 0.2, iterations: 6, domain: "kernel" },
    ];
    for (const options of cases)
      gradientCheck((x) => sinkhorn(x!, options).value, [cost], { step: 5e-3, absolute: 3e-3 });
    const a = tf.tensor1d([0.3, 0.3, 0.4, 0.5]);
    const b = tf.tensor1d([0.5, 0.2, 0.6]);
    for (const objective of ["sharp", "regularised"] as const)
      for (const gradient of ["unrolled", "implicit"] as const)
        gradientCheck(
          (x, y) =>
            sinkhorn(cost, {
              lambda: 0.2,
              ...exact,
              unbalanced: 0.7,
              marginals: { a: x!, b: y! },
              objective,
              gradient,
            }).value,
          [a, b],
          { step: 2e-3, absolute: 3e-3 },
        );
    for (const gradient of ["unrolled", "implicit"] as const)
      gradientCheck((x) => sinkhornPlan(x!, { lambda: 0.2, iterations: 60, gradient }), [cost], {
        step: 5e-3,
      });
    expect(() => tf.grad((x) => sinkhorn(x, { lambda: 1 }).plan)(cost)).toThrow(/FdivSinkhorn/);
  });

  it("against geomloss: the debiased divergence and its gradient in the points", () => {
    for (const given of golden.divergence) {
      const { n, m, d, lambda } = given;
      const y = matrix(given.y, m, d);
      const marginals = { a: tf.tensor1d(given.a), b: tf.tensor1d(given.b) };
      const f = (x: tf.Tensor) =>
        tf.mul(0.5, sinkhornDivergence(x, y, { lambda: 2 * lambda, marginals, ...exact })) as tf.Scalar;
      const { value, grad } = tf.valueAndGrad(f)(matrix(given.x, n, d));
      assertAllClose(value, given.value, { absolute: 2e-6, relative: 1e-4 });
      assertAllClose(grad, given.dx, { absolute: 2e-5, relative: 1e-3 });
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

describe("batches, ragged problems, acceleration", () => {
  it("a batch is its problems, and what is padded changes nothing", () => {
    const [small, large] = [randomCost(1, 2, 3), randomCost(2, 4, 5)];
    const padded = tf.pad(
      small,
      [
        [0, 2],
        [0, 2],
      ],
      0.123,
    );
    const batch = tf.stack([padded, large]);
    for (const options of [
      { lambda: 0.05 },
      { lambda: 0.05, tolerance: 1e-5 },
      { lambda: 0.05, domain: "kernel" },
    ] as SinkhornOptions[]) {
      const found = sinkhorn(batch, { ...options, ragged: { rows: [2, 4], columns: [3, 5] } });
      const alone = sinkhorn(small, options);
      assertAllClose(tf.slice(found.plan, [0, 0, 0], [1, 2, 3]), alone.plan, { absolute: 1e-7 });
      assertAllClose(tf.sum(tf.slice(found.plan, [0, 0, 0], [1, 4, 5])), tf.sum(alone.plan), {
        absolute: 1e-6,
      });
      assertAllClose(found.value, [number(alone.value), number(sinkhorn(large, options).value)], {
        relative: 1e-5,
      });
      expect(found.iterations.dataSync()[0]).toBe(number(alone.iterations));
      const mask = tf.tensor2d([1, 1, 0, 0, 1, 1, 1, 1], [2, 4]);
      const masked = sinkhorn(batch, {
        ...options,
        ragged: { rows: mask, columns: tf.tensor2d([1, 1, 1, 0, 0, 1, 1, 1, 1, 1], [2, 5]) },
      });
      assertAllClose(masked.value, found.value);
    }
    for (const gradient of ["unrolled", "implicit"] as const) {
      const options: SinkhornOptions = { lambda: 0.1, gradient, ragged: { rows: [2, 4], columns: [3, 5] } };
      const g = tf.grad((x: tf.Tensor) => tf.sum(sinkhorn(x, options).value))(batch);
      const own = tf.grad((x: tf.Tensor) => sinkhorn(x, { lambda: 0.1, gradient }).value)(small);
      assertAllClose(tf.slice(g, [0, 0, 0], [1, 2, 3]), tf.expandDims(own, 0), { absolute: 1e-6 });
      expect(number(tf.sum(tf.abs(tf.slice(g, [0, 2, 0], [1, 2, 5]))))).toBe(0);
    }
  });

  it("a mask takes given masses out too", () => {
    const cost = randomCost(9, 3, 3);
    const marginals = { a: tf.tensor1d([0.4, 0.6, 7]), b: tf.tensor1d([0.5, 0.5, 7]) };
    const found = sinkhorn(cost, { lambda: 0.1, marginals, ragged: { rows: [2], columns: [2] } });
    const inner = { a: tf.tensor1d([0.4, 0.6]), b: tf.tensor1d([0.5, 0.5]) };
    const alone = sinkhorn(tf.slice(cost, [0, 0], [2, 2]), { lambda: 0.1, marginals: inner });
    assertAllClose(found.value, alone.value);
    assertAllClose(tf.sum(found.plan), 1);
  });

  it("momentum, Anderson and annealing need fewer iterations to the same plan", () => {
    const x = tf.randomNormal([24, 2], 0, 1, "float32", 11);
    const y = tf.add(tf.randomNormal([24, 2], 0, 1, "float32", 12), 1);
    const cost = costMatrix(x, y);
    const common = { lambda: 0.05, tolerance: 1e-4, maxIterations: 20000 } as const;
    const plain = sinkhorn(cost, { ...common, checkEvery: 5 });
    const count = number(plain.iterations);
    expect(number(plain.converged)).toBe(1);
    for (const [acceleration, share] of [
      [{ kind: "momentum", relaxation: 1.6 }, 0.6],
      [{ kind: "anderson" }, 0.5],
    ] as const) {
      const found = sinkhorn(cost, { ...common, acceleration });
      expect(number(found.converged)).toBe(1);
      assertAllClose(found.value, plain.value, { relative: 3e-4 });
      expect(number(found.iterations)).toBeLessThan(share * count);
    }
    const annealed = sinkhorn(cost, { ...common, annealing: { from: 4, iterations: 2 } });
    expect(number(annealed.iterations)).toBeLessThan(count);
    assertAllClose(annealed.value, plain.value, { relative: 1e-4 });
  });

  it("the kernel domain gives the log domain's plan, or refuses", () => {
    const cost = randomCost(8, 6, 7);
    for (const options of [{ iterations: 20 }, exact]) {
      const [log, kernel] = (["log", "kernel"] as const).map((domain) =>
        sinkhorn(cost, { lambda: 0.05, domain, ...options } as SinkhornOptions),
      );
      assertAllClose(kernel!.plan, log!.plan, { absolute: 1e-6, relative: 1e-3 });
    }
    expect(() => sinkhorn(cost, { lambda: 0.01, domain: "kernel" })).toThrow(KernelUnderflowError);
    expect(() => sinkhorn(cost, { lambda: 0.01, domain: "kernel" })).toThrow(/lambda of at least 0\.01/);
  });
});

describe("extreme inputs", () => {
  it.each([1e-6, 1e-3, 1e3, 1e8])("λ = %d gives finite plans and gradients", (lambda) => {
    for (const scale of [1e-3, 1, 1e4]) {
      if (scale / lambda > 1e6) continue;
      const cost = tf.mul(randomCost(4, 5, 6), scale);
      const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => sinkhorn(x, { lambda }).value as tf.Scalar)(
        cost,
      );
      expect(Number.isFinite(number(value))).toBe(true);
      expect(number(tf.all(tf.isFinite(grad)))).toBe(1);
    }
  });

  it("refuses a λ that single precision can't tell the costs apart at", () => {
    const cost = tf.mul(randomCost(4, 5, 6), 1e4);
    expect(() => sinkhorn(cost, { lambda: 1e-6 })).toThrow(SinkhornError);
    expect(() => sinkhorn(cost, { lambda: 1e-6 })).toThrow(/take lambda of at least/);
  });

  it("masses of zero, tiny masses, no points", () => {
    const cost = randomCost(6, 3, 3);
    const marginals = { a: tf.tensor1d([0, 0.5, 0.5]), b: tf.tensor1d([1e-20, 1, 0]) };
    const found = sinkhorn(cost, { lambda: 0.1, marginals, iterations: 50 });
    assertAllClose(tf.sum(found.plan, 1), [0, 0.5, 0.5]);
    expect(found.potentials.f.dataSync()[0]).toBe(Number.NEGATIVE_INFINITY);
    for (const gradient of ["unrolled", "implicit", "envelope"] as const) {
      const grads = tf.grads(
        (c, a, b) =>
          sinkhorn(c!, { lambda: 0.1, marginals: { a: a!, b: b! }, objective: "regularised", gradient })
            .value,
      )([cost, marginals.a, marginals.b]);
      for (const g of grads) expect(number(tf.all(tf.isFinite(g)))).toBe(1);
    }
    expect(number(sinkhorn(tf.zeros([0, 3]), { lambda: 1 }).value)).toBe(0);
    expect(sinkhorn(tf.zeros([2, 0, 0]), { lambda: 1 }).value.shape).toEqual([2]);
    expect(number(sinkhorn(cost, { lambda: 1, ragged: { rows: [0], columns: [0] } }).value)).toBe(0);
  });

  it("names what is wrong", () => {
    const cost = randomCost(6, 2, 2);
    const bad = (values: number[]) => sinkhorn(matrix(values, 2, 2), { lambda: 1 });
    expect(() => bad([0, Number.NaN, 1, 1])).toThrow(SinkhornError);
    expect(() => bad([0, Number.NaN, 1, 1])).toThrow(/problem 0 holds NaN at \[0, 1\]/);
    expect(() => bad([0, 1, Infinity, 1])).toThrow(/holds Infinity at \[1, 0\]/);
    const wrong = (options: object) => () => sinkhorn(cost, { lambda: 1, ...options } as SinkhornOptions);
    expect(wrong({ lambda: 0 })).toThrow(/lambda is 0/);
    expect(wrong({ lamda: 1 })).toThrow(/unknown option "lamda"/);
    expect(wrong({ iterations: 0 })).toThrow(/iterations is 0/);
    expect(wrong({ iterations: 3, tolerance: 1 })).toThrow(/maxIterations/);
    expect(wrong({ gradient: "envelope" })).toThrow(/regularised/);
    expect(wrong({ acceleration: { kind: "anderson" } })).toThrow(/needs a tolerance/);
    expect(wrong({ tolerance: 1, gradient: "unrolled", acceleration: { kind: "anderson" } })).toThrow(
      /can't be unrolled/,
    );
    expect(wrong({ acceleration: { kind: "momentum", relaxation: 2 } })).toThrow(/relaxation is 2/);
    expect(wrong({ annealing: { from: 2, factor: 1 } })).toThrow(/factor is 1/);
    expect(wrong({ unbalanced: -1 })).toThrow(/rho is -1/);
    expect(wrong({ marginals: { a: tf.tensor1d([1, 1]), b: tf.tensor1d([1, 2]) } })).toThrow(
      /mass 2 on the rows and 3/,
    );
    expect(wrong({ marginals: { a: tf.tensor1d([1, -1]), b: tf.tensor1d([1, 2]) } })).toThrow(
      /holds -1 at 1/,
    );
    expect(wrong({ ragged: { rows: [3], columns: [2] } })).toThrow(/ragged.rows holds 3/);
    expect(() => sinkhorn(tf.zeros([2]), { lambda: 1 })).toThrow(/expected \[n, m\]/);
    expect(() => costMatrix(tf.zeros([2, 3]), tf.zeros([2, 4]))).toThrow(/not as wide/);
    expect(() => costMatrix(tf.zeros([2, 3]), tf.zeros([2, 3]), "l2" as "l1")).toThrow(/no cost "l2"/);
    expect(() => costMatrix(tf.zeros([2, 3]), tf.zeros([2, 3]), (x) => x)).toThrow(/returned \[1,2,3\]/);
    // @ts-expect-error the envelope belongs to the regularised objective.
    const untyped: SinkhornOptions = { lambda: 1, objective: "sharp", gradient: "envelope" };
    expect(() => sinkhorn(cost, untyped)).toThrow(/envelope/);
  });

  it("leaves nothing behind", async () => {
    const cost = tf.stack([randomCost(6, 4, 3), randomCost(7, 4, 3)]);
    const all: SinkhornOptions[] = [
      { lambda: 0.1 },
      { lambda: 0.1, tolerance: 1e-5 },
      { lambda: 0.1, domain: "kernel" },
      { lambda: 0.1, tolerance: 1e-4, acceleration: { kind: "anderson" } },
      {
        lambda: 0.1,
        objective: "regularised",
        annealing: { from: 1 },
        ragged: { rows: [2, 4], columns: [3, 3] },
      },
    ];
    for (const options of all) {
      await assertNoLeak(() => {
        const { potentials, ...rest } = sinkhorn(cost, options);
        tf.dispose({ ...potentials, ...rest });
      });
      await assertNoLeak(() =>
        tf.dispose(tf.grad((x: tf.Tensor) => tf.sum(sinkhorn(x, options).value))(cost)),
      );
    }
  });
});

describe("costs", () => {
  it.each(["l1", "squaredEuclidean", "cosine"] as const)(
    "%s: values and gradients, also at equal and at zero rows",
    (cost) => {
      const [x, y] = [matrix([1, 2, -0.5, 0.3, 2, 1], 2, 3), matrix([0.7, -1, 0.4], 1, 3)];
      const [u, v] = [Array.from(x.dataSync()).slice(0, 3), Array.from(y.dataSync())];
      const sum = (f: (p: number, q: number) => number) => u.reduce((total, p, i) => total + f(p, v[i]!), 0);
      const expected = {
        l1: sum((p, q) => Math.abs(p - q)),
        squaredEuclidean: sum((p, q) => (p - q) ** 2),
        cosine: 1 - sum((p, q) => p * q) / Math.sqrt(sum((p) => p * p) * sum((_, q) => q * q)),
      }[cost];
      assertAllClose(costMatrix(x, y, cost).dataSync()[0]!, expected);
      gradientCheck((p, q) => costMatrix(p!, q!, cost), [x, y], { step: 5e-3 });
      const zero = tf.zeros([2, 3]);
      const g = tf.grad((p: tf.Tensor) => costMatrix(p, zero, cost))(zero);
      expect(number(tf.all(tf.isFinite(g)))).toBe(1);
      if (cost === "l1") expect(number(tf.sum(tf.abs(g)))).toBe(0);
    },
  );

  it("a function of one's own", () => {
    const chebyshev = (x: tf.Tensor3D, y: tf.Tensor3D): tf.Tensor3D =>
      tf.max(tf.abs(tf.sub(tf.expandDims(x, 2), tf.expandDims(y, 1))), 3);
    assertAllClose(costMatrix(matrix([1, 5], 1, 2), matrix([2, 2, 0, 0], 2, 2), chebyshev), [3, 5]);
  });
});
