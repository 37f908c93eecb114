import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose, gradientCheck } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { sampleWiseSinkhorn } from "./index.ts";
import { randomLogits } from "./random-logits.testing.ts";
import { number } from "./transport.testing.ts";

const { pairOf } = randomLogits(300);
const distributions = ({ student, teacher }: { student: tf.Tensor; teacher: tf.Tensor }) =>
  [student, teacher].map((x) => tf.softmax(tf.div(x, 2))) as [tf.Tensor, tf.Tensor];

beforeAll(async () => {
  await startBackend({ backend: process.env.FDIV_TEST_BACKEND ?? "wasm", threads: 1 });
});

describe("sample-wise transport", () => {
  it("iterated: total variation of 0/1 costs, ‖p − q‖ of points on a line", () => {
    const pair = pairOf(3, 4);
    const [p, q] = [pair.student, pair.teacher].map((x) => tf.softmax(tf.div(x, 2)));
    const variation = tf.mul(0.5, tf.sum(tf.abs(tf.sub(p!, q!)), 1));
    const sharp = { lambda: 0.01, iterations: 4000 };
    assertAllClose(sampleWiseSinkhorn(pair, sharp).loss, variation, { absolute: 1e-4 });
    const at = tf.range(0, 4);
    const line = tf.abs(tf.sub(tf.expandDims(at, 1), tf.expandDims(at, 0))) as tf.Tensor2D;
    const wasserstein = tf.sum(tf.abs(tf.cumsum(tf.sub(p!, q!), 1)), 1);
    assertAllClose(sampleWiseSinkhorn(pair, { ...sharp, ground: line }).loss, wasserstein, {
      absolute: 2e-3,
    });
    for (const gradient of ["unrolled", "implicit"] as const)
      gradientCheck(
        (student) =>
          sampleWiseSinkhorn(
            { student: student!, teacher: pair.teacher },
            {
              lambda: 0.4,
              iterations: 60,
              ground: line,
              temperatureSquared: true,
              transport: { gradient } as object,
            },
          ).loss,
        [pair.student],
        { step: 1e-2 },
      );
    expect(() => sampleWiseSinkhorn(pairOf(1, 5000), { iterations: 20 })).toThrow(/take sinkhornKd/);
    expect(() => sampleWiseSinkhorn(pair, { ground: tf.zeros([3, 3]) })).toThrow(/ground cost has shape/);
  });

  it("is total variation at a small λ without a ground cost, and its gradient total variation's", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e6 }),
        fc.constantFrom(2, 4, 30),
        fc.constantFrom(0.1, 0.05, 0.02, 0.01, 1e-4),
        (from, classes, lambda) => {
          const pair = randomLogits(from).pairOf(3, classes);
          const [p, q] = distributions(pair);
          const variation = (x: tf.Tensor) =>
            tf.mul(0.5, tf.sum(tf.abs(tf.sub(tf.softmax(tf.div(x, 2)), q)), 1)) as tf.Tensor1D;
          const { loss, rowError, converged } = sampleWiseSinkhorn(pair, { lambda });
          // Entropy moves at most e^{−1/λ}(Σ√p)(Σ√q) between classes that need nothing, and near 0 its root.
          const epsilon = Math.exp(-1 / lambda);
          const bound = classes * (epsilon + Math.sqrt(epsilon) / 10) + 1e-6;
          const [found, wanted] = [loss.dataSync(), variation(pair.student).dataSync()];
          found.forEach((value, i) => {
            expect(value).toBeGreaterThan(wanted[i]! - 1e-6);
            expect(value).toBeLessThan(wanted[i]! + bound);
          });
          expect(number(tf.max(rowError))).toBeLessThan(1e-5);
          expect(number(tf.all(converged))).toBe(1);
          if (lambda > 0.05) return;
          const slope = tf.grad((x: tf.Tensor) =>
            tf.sum(sampleWiseSinkhorn({ ...pair, student: x }, { lambda }).loss),
          )(pair.student);
          const sharp = tf.grad((x: tf.Tensor) => tf.sum(variation(x)))(pair.student);
          // A class with nearly the same mass on both sides is where the two differ.
          const nearest = number(tf.min(tf.abs(tf.sub(p, q))));
          if (nearest > 1e-3) assertAllClose(slope, sharp, { absolute: 1e-3 });
          expect(number(tf.max(tf.abs(slope)))).toBeGreaterThan(1e-4);
        },
      ),
      { numRuns: 25 },
    );
  });

  it("in closed form is what iterations come to at any λ, with its gradient", () => {
    const pair = pairOf(4, 6);
    for (const lambda of [0.08, 0.3, 0.9, 1.1, 5, 1e4]) {
      const closed = (student: tf.Tensor) => sampleWiseSinkhorn({ ...pair, student }, { lambda }).loss;
      const transport = { tolerance: 1e-6, maxIterations: 20000 } as const;
      const long = (student: tf.Tensor) =>
        sampleWiseSinkhorn({ ...pair, student }, { lambda, transport }).loss;
      assertAllClose(closed(pair.student), long(pair.student), { absolute: 3e-6 });
      const weights = tf.tensor1d([1, -2, 3, 0.5]);
      const slope = (f: (x: tf.Tensor) => tf.Tensor) =>
        tf.grad((x: tf.Tensor) => tf.sum(tf.mul(f(x), weights)))(pair.student);
      assertAllClose(slope(closed), slope(long), { absolute: 2e-4 });
    }
    gradientCheck(
      (x) => sampleWiseSinkhorn({ ...pair, student: x! }, { lambda: 0.25 }).loss,
      [pair.student],
      {
        step: 5e-3,
      },
    );
  });

  it("has finite gradients at p = q, at one-hot distributions and in large vocabularies", () => {
    const extreme = tf.tensor2d([200, 0, -200, 0, 0, 0, -200, 200, 0, 1, 1, 1], [4, 3]);
    const other = tf.tensor2d([200, 0, -200, 0, 0, 0, 200, -200, 0, 1, 1, 1], [4, 3]);
    for (const lambda of [1e-6, 0.01, 0.1, 1, 100]) {
      const f = (student: tf.Tensor) =>
        tf.sum(sampleWiseSinkhorn({ student, teacher: other }, { lambda }).loss) as tf.Scalar;
      const { value, grad } = tf.valueAndGrad(f)(extreme);
      expect([lambda, Number.isFinite(number(value))]).toEqual([lambda, true]);
      expect([lambda, number(tf.all(tf.isFinite(grad)))]).toEqual([lambda, 1]);
    }
    const none = pairOf(0, 3);
    const empty = (student: tf.Tensor) => sampleWiseSinkhorn({ ...none, student }).loss;
    expect(empty(none.student).shape).toEqual([0]);
    expect(tf.grad((x: tf.Tensor) => tf.sum(empty(x)))(none.student).shape).toEqual([0, 3]);
    const wide = pairOf(2, 6000);
    const [p, q] = distributions(wide);
    assertAllClose(
      sampleWiseSinkhorn(wide, { lambda: 0.02 }).loss,
      tf.mul(0.5, tf.sum(tf.abs(tf.sub(p, q)), 1)),
      { absolute: 1e-5 },
    );
  });

  it("iterates over a ground cost until the plans fit, and tells where they don't", () => {
    const pair = pairOf(3, 5);
    const at = tf.range(0, 5);
    const line = tf.div(tf.abs(tf.sub(tf.expandDims(at, 1), tf.expandDims(at, 0))), 4) as tf.Tensor2D;
    const [p, q] = distributions(pair);
    const wasserstein = tf.div(tf.sum(tf.abs(tf.cumsum(tf.sub(p, q), 1)), 1), 4);
    const found = sampleWiseSinkhorn(pair, { ground: line, lambda: 0.01 });
    assertAllClose(found.loss, wasserstein, { absolute: 2e-3 });
    expect(number(tf.all(found.converged))).toBe(1);
    expect(number(tf.max(found.rowError))).toBeLessThan(1.1e-3);
    const short = sampleWiseSinkhorn(pair, { lambda: 0.01, iterations: 20 });
    expect(number(tf.max(tf.cast(short.converged, "int32")))).toBe(0);
    // An infeasible plan that stays on the diagonal: what it costs is not what it would have to.
    expect(number(tf.max(short.loss))).toBeLessThan(1e-6);
    assertAllClose(short.rowError, tf.sum(tf.abs(tf.sub(p, q)), 1), { absolute: 1e-4 });
    const slope = tf.grad((x: tf.Tensor) =>
      tf.sum(sampleWiseSinkhorn({ ...pair, student: x }, { lambda: 0.01, iterations: 20 }).rowError),
    );
    expect(() => slope(pair.student)).toThrow(/gradient/);
  });
});
