import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { costMatrix, KernelUnderflowError, type SinkhornOptions, sinkhorn } from "./index.ts";
import { exact, number, randomCost } from "./transport.testing.ts";

beforeAll(async () => {
  await startBackend({ backend: process.env.FDIV_TEST_BACKEND ?? "wasm", threads: 1 });
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
