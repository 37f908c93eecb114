import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { expect, it } from "vitest";
import { layerNorm } from "./layer-norm.ts";
import { rmsNorm } from "./rms-norm.ts";
import { assertAllClose, assertNoLeak, gradientCheck, onEachBackend } from "./testing/index.ts";

const backends = ["cpu", "wasm", "tensorflow"];
const noise = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, "float32", seed);

it("normalises by hand", () =>
  onEachBackend(backends, () => {
    const x = tf.tensor2d([[3, 4]]);
    const root = Math.sqrt(12.5);
    assertAllClose(rmsNorm(x, tf.tensor1d([1, 2]), 0), [3 / root, 8 / root]);
    assertAllClose(rmsNorm(x, tf.tensor1d([1, 2]), 12.5), [3 / 5, 8 / 5]);
    assertAllClose(layerNorm(x, tf.tensor1d([1, 2]), tf.tensor1d([10, 20]), 0), [9, 22]);
    assertAllClose(layerNorm(x, tf.tensor1d([1, 2]), tf.tensor1d([10, 20]), 0.75), [9.5, 21]);
  }));

it("has the right gradient", () =>
  onEachBackend(backends, () => {
    const [x, weight, bias] = [noise([2, 2, 5], 1), noise([5], 2), noise([5], 3)];
    gradientCheck((v, w) => rmsNorm(v!, w!, 1e-5), [x, weight]);
    gradientCheck((v, w, b) => layerNorm(v!, w!, b!, 1e-5), [x, weight, bias]);
  }));

it("does not see the scale, nor layerNorm the shift, of its input", async () => {
  await tf.setBackend("cpu");
  const numbers = fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 4, maxLength: 4 });
  const scales = fc.constantFrom(0.5, 2, 8);
  const [weight, bias] = [tf.tensor1d([1, -2, 0.5, 3]), tf.tensor1d([0, 1, 2, 3])];
  fc.assert(
    fc.property(numbers, scales, (values, scale) => {
      fc.pre(new Set(values).size > 1);
      const x = tf.tensor2d(values, [1, 4]);
      assertAllClose(rmsNorm(tf.mul(x, scale), weight, 0), rmsNorm(x, weight, 0));
      const moved = tf.add(tf.mul(x, scale), 3);
      assertAllClose(layerNorm(moved, weight, bias, 0), layerNorm(x, weight, bias, 0));
    }),
    { numRuns: 30 },
  );
});

it("stays finite on constant, huge and empty rows, and leaks nothing", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], async () => {
    const x = tf.tensor2d([
      [0, 0],
      [1e4, 1e4],
      [-1e4, 100],
    ]);
    const [weight, bias] = [tf.ones([2]), tf.zeros([2])];
    const finite = (t: tf.Tensor) => expect(Array.from(t.dataSync()).every(Number.isFinite)).toBe(true);
    for (const f of [
      (v: tf.Tensor) => rmsNorm(v, weight, 1e-6),
      (v: tf.Tensor) => layerNorm(v, weight, bias, 1e-6),
    ]) {
      finite(f(x));
      finite(tf.grad(f)(x));
      expect(f(tf.zeros([0, 2])).shape).toEqual([0, 2]);
      assertAllClose(tf.grad((w: tf.Tensor) => rmsNorm(tf.zeros([0, 2]), w, 1e-6))(weight), [0, 0]);
      await assertNoLeak(() => tf.dispose(tf.grad(f)(x)));
    }
  }));

it("names what does not fit", () => {
  const x = tf.zeros([2, 4]);
  expect(() => rmsNorm(x, tf.zeros([3]), 1e-5)).toThrow(
    /rmsNorm: weight has shape \[3\], expected \[4\] \(the last axis of x \[2, 4\]\)/,
  );
  expect(() => layerNorm(x, tf.zeros([4]), tf.zeros([2]), 1e-5)).toThrow(/layerNorm: bias has shape \[2\]/);
});
