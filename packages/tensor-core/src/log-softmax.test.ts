import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { expect, it } from "vitest";
import { crossEntropy } from "./cross-entropy.ts";
import { logSoftmax } from "./log-softmax.ts";
import { assertAllClose, assertNoLeak, gradientCheck, onEachBackend } from "./testing/index.ts";

const backends = ["cpu", "wasm", "tensorflow"];
const ints = (values: number[]) => tf.tensor1d(values, "int32");
const noise = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 2, "float32", seed);

it("matches log 1/4 and log 3/4, and the likelihoods of both", () =>
  onEachBackend(backends, () => {
    const x = tf.tensor2d([
      [0, Math.log(3)],
      [5, 5],
    ]);
    const expected = [Math.log(0.25), Math.log(0.75), -Math.LN2, -Math.LN2];
    assertAllClose(logSoftmax(x), expected);
    assertAllClose(crossEntropy(x, ints([1, 0])), [-Math.log(0.75), Math.LN2]);
  }));

it("has the right gradient", () =>
  onEachBackend(backends, () => {
    gradientCheck((x) => logSoftmax(x!), [noise([2, 2, 5], 1)]);
    gradientCheck((x) => crossEntropy(x!, ints([4, 0, 2])), [noise([3, 5], 2)]);
  }));

it("sums to one, ignores a shift, and agrees with the cross-entropy", async () => {
  await tf.setBackend("cpu");
  const logits = fc.array(fc.integer({ min: -100, max: 100 }), { minLength: 2, maxLength: 8 });
  fc.assert(
    fc.property(logits, fc.integer({ min: -1000, max: 1000 }), (values, shift) => {
      const x = tf.tensor2d(values, [1, values.length]);
      const y = logSoftmax(x);
      assertAllClose(tf.sum(tf.exp(y)), 1);
      assertAllClose(logSoftmax(tf.add(x, shift)), y, { absolute: 1e-3 });
      assertAllClose(crossEntropy(x, ints([1])), -y.dataSync()[1]!, { absolute: 1e-4 });
    }),
    { numRuns: 50 },
  );
});

it("takes ±1e4, −∞, one column and no rows, with finite gradients", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], () => {
    const x = tf.tensor2d([
      [1e4, -1e4, 0],
      [-Infinity, 0, 0],
    ]);
    assertAllClose(logSoftmax(x), [0, -2e4, -1e4, -Infinity, -Math.LN2, -Math.LN2]);
    assertAllClose(crossEntropy(x, ints([1, 1])), [2e4, Math.LN2]);
    const gradient = tf.grad((v) => crossEntropy(v, ints([1, 1])))(x);
    assertAllClose(gradient, [1, -1, 0, 0, -0.5, 0.5]);
    assertAllClose(logSoftmax(tf.tensor1d([7])), [0]);
    expect(logSoftmax(tf.zeros([0, 3])).shape).toEqual([0, 3]);
    expect(crossEntropy(tf.zeros([0, 3]), ints([])).shape).toEqual([0]);
    assertAllClose(tf.grad((v) => logSoftmax(v))(tf.zeros([0, 3])), []);
  }));

it("leaks nothing and names what does not fit", () =>
  onEachBackend(["cpu", "wasm"], async () => {
    const [x, targets] = [noise([3, 4], 1), ints([0, 1, 3])];
    await assertNoLeak(() => tf.dispose(tf.grad((v) => logSoftmax(v))(x)));
    await assertNoLeak(() => tf.dispose(tf.grad((v) => crossEntropy(v, targets))(x)));
    expect(() => crossEntropy(x, ints([0]))).toThrow(/crossEntropy: targets has shape \[1\], expected \[3\]/);
    expect(() => crossEntropy(x, ints([0, 4, 0]))).toThrow(/crossEntropy: targets\[1\] is 4/);
  }));
