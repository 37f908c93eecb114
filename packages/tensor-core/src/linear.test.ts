import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { type Activation, activate } from "./activation.ts";
import { linear, linearKernel, linearNoBiasKernel } from "./linear.ts";
import { assertAllClose, assertNoLeak, gradientCheck, onEachBackend } from "./testing/index.ts";

const backends = ["cpu", "wasm", "tensorflow"];
const activations: Activation[] = ["none", "gelu", "geluTanh", "silu"];
const noise = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, "float32", seed);

it("computes x·Wᵀ + b by hand, and x·W for a Conv1D weight", () =>
  onEachBackend(backends, () => {
    const x = tf.tensor2d([
      [1, 2],
      [3, -1],
    ]);
    const weight = tf.tensor2d([
      [1, 0],
      [2, 1],
      [-1, 1],
    ]);
    const bias = tf.tensor1d([10, 20, 30]);
    const expected = [11, 24, 31, 13, 25, 26];
    assertAllClose(linear(x, weight, { bias }), expected);
    assertAllClose(linear(x, tf.transpose(weight), { bias, transposeWeight: false }), expected);
    assertAllClose(linear(x, weight), [1, 4, 1, 3, 5, -4]);
  }));

it("keeps the leading axes", async () => {
  await tf.setBackend("cpu");
  const x = noise([2, 3, 4], 1);
  const weight = noise([5, 4], 2);
  const y = linear(x, weight, { activation: "silu" });
  expect(y.shape).toEqual([2, 3, 5]);
  assertAllClose(y, linear(tf.reshape(x, [6, 4]), weight, { activation: "silu" }));
});

it("has the right gradient with every activation, layout and bias", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], () => {
    for (const activation of activations) {
      for (const transposeWeight of [true, false]) {
        const weight = noise(transposeWeight ? [3, 4] : [4, 3], 5);
        const inputs = [noise([2, 4], 4), weight, noise([3], 6)];
        gradientCheck((x, w, bias) => linear(x!, w!, { bias: bias!, transposeWeight, activation }), inputs);
      }
      gradientCheck((x, w) => linear(x!, w!, { activation }), [noise([2, 1, 4], 7), noise([3, 4], 8)]);
    }
  }));

it("spends nothing on a frozen weight", async () => {
  await tf.setBackend("cpu");
  const [x, weight, bias] = [noise([2, 4], 1), noise([3, 4], 2), noise([3], 3)];
  const profile = await tf.profile(() => tf.grad((v) => linear(v, weight, { bias }))(x));
  const names = profile.kernels.map(({ name }) => name);
  expect(names.filter((name) => name === "FdivMatMul")).toHaveLength(1);
  expect(names).not.toContain("FdivSumRows");
});

it("keeps no input for a weight declared frozen, with the same gradients", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], () => {
    const [x, weight, bias] = [noise([20, 8], 1), noise([3, 8], 2), noise([3], 3)];
    for (const activation of activations) {
      const kept = (frozenWeight: boolean): number => {
        const before = tf.memory().numBytes;
        let bytes = 0;
        const f = (v: tf.Tensor, b: tf.Tensor) => {
          const y = tf.tidy(() => linear(tf.mul(v, 2), weight, { bias: b, activation, frozenWeight }));
          bytes = tf.memory().numBytes - before;
          return y;
        };
        tf.dispose(tf.grads((v, b) => f(v!, b!))([x, bias]));
        return bytes;
      };
      expect(kept(false) - kept(true)).toBe(x.size * 4);
      const f = (frozenWeight: boolean) => (v: tf.Tensor, b: tf.Tensor) =>
        linear(v, weight, { bias: b, activation, frozenWeight });
      const [frozen, free] = [true, false].map((flag) => tf.grads((v, b) => f(flag)(v!, b!))([x, bias]));
      frozen!.forEach((gradient, i) => {
        assertAllClose(gradient, free![i]!, { absolute: 0, relative: 0 });
      });
    }
    expect(() => tf.grad((w: tf.Tensor) => linear(x, w, { frozenWeight: true }))(weight)).toThrow(
      /declared frozen/,
    );
  }));

it("returns the preactivation only when asked", async () => {
  await tf.setBackend("cpu");
  const [x, weight, bias] = [noise([2, 4], 1), noise([3, 4], 2), noise([3], 3)];
  const attributes = { transposeWeight: true, activation: "gelu" as const, keepPreactivation: true };
  const [y, sum] = linearKernel({ x, weight, bias }, attributes);
  assertAllClose(y!, activate(sum!, "gelu"));
  expect(linearNoBiasKernel({ x, weight }, { ...attributes, keepPreactivation: false })).toHaveLength(1);
});

it("keeps extreme inputs finite and an empty batch empty, and leaks nothing", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], async () => {
    const weight = tf.tensor2d([[1], [-1]]);
    const bias = tf.zeros([2]);
    const x = tf.tensor2d([[-1e4], [-100], [0], [100], [1e4]]);
    for (const activation of activations) {
      const gradient = tf.grad((v) => linear(v, weight, { bias, activation }))(x);
      expect(Array.from(gradient.dataSync()).every(Number.isFinite)).toBe(true);
    }
    expect(linear(tf.zeros([0, 1]), weight).shape).toEqual([0, 2]);
    const run = () =>
      tf.dispose(tf.grads((v, w) => linear(v!, w!, { bias, activation: "gelu" }))([x, weight]));
    await assertNoLeak(run);
    await assertNoLeak(() => tf.dispose(linear(x, weight, { bias, activation: "gelu" })));
  }));

it("names what does not fit", () => {
  const x = tf.zeros([2, 4]);
  expect(() => linear(x, tf.zeros([4, 3]))).toThrow(
    /linear: weight \[4, 3\] \(\[out, in\]\) does not fit x \[2, 4\]/,
  );
  expect(() => linear(x, tf.zeros([3, 4]), { bias: tf.zeros([4]) })).toThrow(
    /linear: bias has shape \[4\], expected \[3\]/,
  );
});
