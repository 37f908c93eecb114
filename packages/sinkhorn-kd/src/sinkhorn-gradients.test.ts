import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose, gradientCheck } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { type SinkhornOptions, sinkhorn, sinkhornDivergence, sinkhornPlan } from "./index.ts";
import { exact, golden, matrix, randomCost } from "./transport.testing.ts";

beforeAll(async () => {
  await startBackend({ backend: process.env.FDIV_TEST_BACKEND ?? "wasm", threads: 1 });
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
