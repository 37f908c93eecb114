import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose, gradientCheck } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { costMatrix } from "./index.ts";
import { matrix, number } from "./transport.testing.ts";

beforeAll(async () => {
  await startBackend({ backend: process.env.FDIV_TEST_BACKEND ?? "wasm", threads: 1 });
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
