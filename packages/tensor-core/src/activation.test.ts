import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { type Activation, activate } from "./activation.ts";
import { swiglu } from "./swiglu.ts";
import { assertAllClose, assertNoLeak, gradientCheck, onEachBackend } from "./testing/index.ts";

const backends = ["cpu", "wasm", "tensorflow"];
const kinds: Activation[] = ["gelu", "geluTanh", "silu", "relu"];
const fine = { absolute: 2e-6, relative: 2e-6 };

it("matches the values known from the literature", () =>
  onEachBackend(backends, () => {
    const x = tf.tensor1d([-2, -1, 0, 1, 2]);
    // x·Φ(x) with Φ(1) = .8413447461 and Φ(2) = .9772498681.
    assertAllClose(activate(x, "gelu"), [-0.04550026, -0.15865525, 0, 0.84134475, 1.95449974], fine);
    assertAllClose(activate(x, "geluTanh"), [-0.04540231, -0.15880801, 0, 0.84119199, 1.95459769], fine);
    assertAllClose(activate(x, "silu"), [-0.23840584, -0.26894142, 0, 0.73105858, 1.76159416], fine);
    assertAllClose(activate(x, "relu"), [0, 0, 0, 1, 2], fine);
    expect(activate(x, "none")).toBe(x);
  }));

it("has the right gradient", () =>
  onEachBackend(backends, () => {
    const x = tf.tensor2d([
      [-3, -1.3, -0.4],
      [0.2, 1.1, 4],
    ]);
    for (const kind of kinds) gradientCheck((v) => activate(v!, kind), [x]);
    gradientCheck((gate, up) => swiglu(gate!, up!), [x, tf.reverse(x)]);
  }));

it("saturates without NaN, takes an empty tensor, and leaks nothing", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], async () => {
    const x = tf.tensor1d([-1e4, -100, 100, 1e4]);
    for (const kind of kinds) {
      assertAllClose(activate(x, kind), [0, 0, 100, 1e4]);
      assertAllClose(tf.grad((v) => activate(v, kind))(x), [0, 0, 1, 1]);
      expect(activate(tf.zeros([0, 3]), kind).shape).toEqual([0, 3]);
    }
    await assertNoLeak(() => tf.dispose(tf.grad((v) => activate(v, "gelu"))(x)));
    await assertNoLeak(() => tf.dispose(tf.grads((g, u) => swiglu(g!, u!))([x, x])));
  }));

it("gates by hand: silu(1)·3", () =>
  onEachBackend(backends, () => {
    assertAllClose(swiglu(tf.tensor1d([1, 0, -100, 100]), tf.tensor1d([3, 7, 5, 2])), [2.1931758, 0, 0, 200]);
  }));

it("names a gate that does not fit", () => {
  expect(() => swiglu(tf.zeros([2]), tf.zeros([3]))).toThrow(/swiglu: up has shape \[3\], expected \[2\]/);
});
