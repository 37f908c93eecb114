import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose, assertNoLeak } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { costMatrix, SinkhornError, type SinkhornOptions, sinkhorn } from "./index.ts";
import { matrix, number, randomCost } from "./transport.testing.ts";

beforeAll(async () => {
  await startBackend({ backend: process.env.FDIV_TEST_BACKEND ?? "wasm", threads: 1 });
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
