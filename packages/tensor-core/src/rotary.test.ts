import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { rotary, rotaryKernel } from "./rotary.ts";
import { assertAllClose, assertNoLeak, gradientCheck, onEachBackend } from "./testing/index.ts";

const backends = ["cpu", "wasm", "tensorflow"];
const noise = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, "float32", seed);

/** Tables for R/2 frequencies at `count` positions. */
function tables(count: number, half: number) {
  const angles = Array.from({ length: count * half }, (_, i) => Math.floor(i / half) * 0.7 ** (i % half));
  return {
    cos: tf.tensor2d(angles.map(Math.cos), [count, half]),
    sin: tf.tensor2d(angles.map(Math.sin), [count, half]),
  };
}

it("turns the pairs of each layout by a quarter and leaves the rest", () =>
  onEachBackend(backends, () => {
    const [cos, sin] = [tf.zeros([2, 2]), tf.ones([2, 2])];
    const positions = tf.tensor2d([[1]], [1, 1], "int32");
    const x = tf.tensor3d([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [1, 1, 10]);
    assertAllClose(rotary(x, cos, sin, positions, { heads: 2 }), [-3, -4, 1, 2, 5, -8, -9, 6, 7, 10]);
    const interleaved = rotary(x, cos, sin, positions, { heads: 2, interleaved: true });
    assertAllClose(interleaved, [-2, 1, -4, 3, 5, -7, 6, -9, 8, 10]);
  }));

it("looks each token's angle up, has its inverse as gradient, and turns back", () =>
  onEachBackend(backends, () => {
    const { cos, sin } = tables(5, 2);
    const positions = tf.tensor2d(
      [
        [0, 1, 2],
        [3, 1, 4],
      ],
      [2, 3],
      "int32",
    );
    const x = noise([2, 3, 12], 1);
    for (const interleaved of [false, true]) {
      const attributes = { heads: 2, interleaved, inverse: true };
      const turned = rotary(x, cos, sin, positions, { heads: 2, interleaved });
      assertAllClose(tf.slice(turned, [0, 0, 0], [1, 1, 12]), tf.slice(x, [0, 0, 0], [1, 1, 12]));
      assertAllClose(rotaryKernel({ x: turned, cos, sin, positions }, attributes)[0]!, x);
      assertAllClose(tf.sum(tf.square(turned)), tf.sum(tf.square(x)));
      gradientCheck((v) => rotary(v!, cos, sin, positions, { heads: 2, interleaved }), [x]);
    }
  }));

it("makes q·k depend on the distance of the positions only", async () => {
  await tf.setBackend("cpu");
  const { cos, sin } = tables(12, 2);
  const [q, k] = [noise([1, 1, 4], 2), noise([1, 1, 4], 3)];
  const dot = (i: number, j: number) => {
    const at = (x: tf.Tensor, p: number) =>
      rotary(x, cos, sin, tf.tensor2d([[p]], [1, 1], "int32"), { heads: 1 });
    return tf.sum(tf.mul(at(q, i), at(k, j))).dataSync()[0]!;
  };
  assertAllClose(dot(7, 3), dot(4, 0));
  assertAllClose(dot(11, 9), dot(2, 0));
});

it("takes an empty batch, leaks nothing, and names what does not fit", () =>
  onEachBackend(["cpu", "wasm"], async () => {
    const { cos, sin } = tables(3, 2);
    const positions = tf.zeros([1, 2], "int32");
    const x = tf.zeros([1, 2, 4]);
    const options = { heads: 1 };
    const empty = rotary(tf.zeros([0, 2, 4]), cos, sin, tf.zeros([0, 2], "int32"), options);
    expect(empty.shape).toEqual([0, 2, 4]);
    await assertNoLeak(() => tf.dispose(tf.grad((v) => rotary(v, cos, sin, positions, options))(x)));
    const far = tf.tensor2d([[0, 3]], [1, 2], "int32");
    expect(() => rotary(x, cos, sin, far, options)).toThrow(/rotary: positions\[1\] is 3, .*\[0, 3\)/);
    expect(() => rotary(x, cos, sin, positions, { heads: 2 })).toThrow(/rotary: x \[1, 2, 4\] in 2 heads/);
    expect(() => rotary(x, cos, cos, tf.zeros([1, 3], "int32"), options)).toThrow(/positions has shape/);
  }));
