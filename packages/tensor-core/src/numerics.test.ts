import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { expect, it } from "vitest";
import { log1mExp, log1p, logSigmoid, logSumExp, softplus } from "./numerics.ts";
import { assertAllClose, assertNoLeak, gradientCheck, onEachBackend } from "./testing/index.ts";

const backends = ["cpu", "wasm", "tensorflow"];
/** float32 has 24 bits. */
const tight = { absolute: 1e-42, relative: 4e-7 };
const at = (values: number[]) => tf.tensor1d(values);
const exact = (values: number[], f: (x: number) => number) => values.map((x) => f(Math.fround(x)));

it("keeps the digits of small and large arguments on every backend", () =>
  onEachBackend(backends, () => {
    const xs = [-1e4, -80, -20, -1, -1e-6, 0, 1e-6, 1, 20, 80, 1e4];
    const plus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
    assertAllClose(softplus(at(xs)), exact(xs, plus), tight);
    assertAllClose(
      logSigmoid(at(xs)),
      exact(xs, (x) => -plus(-x)),
      tight,
    );
    const small = [-0.999, -0.5, -1e-3, -1e-9, -1e-22, 0, 1e-22, 1e-9, 1e-3, 1, 1e10, 1e30];
    assertAllClose(log1p(at(small)), exact(small, Math.log1p), tight);
    const negative = [-80, -20, -1, -0.7, -0.69, -0.1, -1e-3, -1e-9, -1e-30];
    const stable = (x: number) => (x > -Math.LN2 ? Math.log(-Math.expm1(x)) : Math.log1p(-Math.exp(x)));
    assertAllClose(log1mExp(at(negative)), exact(negative, stable), tight);
  }));

it("has its limits at the ends", () =>
  onEachBackend(backends, () => {
    const ends = at([-Infinity, Infinity]);
    assertAllClose(softplus(ends), [0, Infinity]);
    assertAllClose(logSigmoid(ends), [-Infinity, 0]);
    assertAllClose(log1p(at([-1, Infinity])), [-Infinity, Infinity]);
    assertAllClose(log1mExp(at([-Infinity, 0, 1])), [0, -Infinity, Number.NaN]);
    for (const f of [softplus, logSigmoid, log1p, log1mExp]) expect(f(at([])).shape).toEqual([0]);
  }));

it("has the right gradient, and a finite one where the function saturates", () =>
  onEachBackend(backends, () => {
    const x = at([-3, -1.2, -0.4, 0.3, 2.5]);
    gradientCheck((v) => softplus(v!), [x]);
    gradientCheck((v) => logSigmoid(v!), [x]);
    gradientCheck((v) => log1p(v!), [at([-0.5, 0.2, 3])]);
    gradientCheck((v) => log1mExp(v!), [at([-3, -1.2, -0.4])]);
    const far = at([-1e4, 1e4]);
    assertAllClose(tf.grad(softplus)(far), [0, 1]);
    assertAllClose(tf.grad(logSigmoid)(far), [1, 0]);
    assertAllClose(tf.grad(log1mExp)(at([-1e4])), [0]);
  }));

it("can be differentiated twice", async () => {
  await tf.setBackend("cpu");
  const x = at([-1, 0, 2]);
  const sigmoid = tf.sigmoid(x);
  const curvature = tf.grad((v) => tf.grad(softplus)(v))(x);
  assertAllClose(curvature, tf.mul(sigmoid, tf.sub(1, sigmoid)));
  gradientCheck((v) => tf.grad((u: tf.Tensor) => logSumExp(u))(v!), [x]);
});

it("sums exponentials along any axis", () =>
  onEachBackend(backends, () => {
    const x = tf.tensor2d([
      [0, Math.log(3)],
      [1000, 1000],
    ]);
    assertAllClose(logSumExp(x), [Math.log(4), 1000 + Math.LN2]);
    assertAllClose(logSumExp(x, 0), [1000, 1000]);
    expect(logSumExp(x, 0, true).shape).toEqual([1, 2]);
    gradientCheck((v) => logSumExp(v!, 0), [tf.randomNormal([3, 4], 0, 1, "float32", 1)]);
    gradientCheck((v) => logSumExp(v!, 1, true), [tf.randomNormal([2, 3, 4], 0, 1, "float32", 2)]);
  }));

it("takes −∞ as nothing to add, with a gradient of zero", () =>
  onEachBackend(backends, () => {
    const x = tf.tensor2d([
      [-Infinity, 2],
      [-Infinity, -Infinity],
    ]);
    assertAllClose(logSumExp(x), [2, -Infinity]);
    assertAllClose(tf.grad((v) => logSumExp(v))(x), [0, 1, 0, 0]);
    assertAllClose(logSumExp(at([Infinity, 1])), [Infinity]);
  }));

it("obeys softplus(x) − softplus(−x) = x and log σ(x) + log1mExp's complement", async () => {
  await tf.setBackend("cpu");
  fc.assert(
    fc.property(fc.float({ min: -80, max: 80, noNaN: true }), (value) => {
      const x = at([value]);
      assertAllClose(tf.sub(softplus(x), softplus(tf.neg(x))), x, { absolute: 1e-5 });
      // 1 − σ(x) = σ(−x)
      fc.pre(value < 15);
      assertAllClose(log1mExp(logSigmoid(x)), logSigmoid(tf.neg(x)), { absolute: 1e-5, relative: 1e-3 });
    }),
    { numRuns: 100 },
  );
});

it("leaks nothing and refuses an axis that is not there", async () => {
  await tf.setBackend("cpu");
  const x = at([-1, -2]);
  for (const f of [softplus, logSigmoid, log1p, log1mExp, logSumExp])
    await assertNoLeak(() => tf.dispose(tf.grad((v: tf.Tensor) => f(v))(x)));
  expect(() => logSumExp(x, 1)).toThrow(/logSumExp: axis 1 is outside x \[2\]/);
});
