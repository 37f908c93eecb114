import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { assertAllClose, assertNoLeak, gradientCheck, onEachBackend } from "./index.ts";

it("tells close numbers from others", () => {
  assertAllClose([1, [2, 3]], tf.tensor1d([1, 2, 3]));
  assertAllClose(new Float32Array([Number.NaN, -Infinity]), [Number.NaN, -Infinity]);
  expect(() => assertAllClose([1, 2], [1, 2.1])).toThrow(/1 of 2 .* element 1 is 2, expected 2.1/);
  expect(() => assertAllClose([Infinity], [-Infinity])).toThrow(/element 0/);
  expect(() => assertAllClose([Number.NaN], [0])).toThrow(/element 0/);
  expect(() => assertAllClose([0], [Number.NaN])).toThrow(/element 0/);
  expect(() => assertAllClose([1], [1, 1])).toThrow(/1 elements, expected 2/);
});

it("finds a wrong gradient", async () => {
  await tf.setBackend("cpu");
  const wrong = tf.customGrad((x) => ({
    value: tf.square(x as tf.Tensor),
    gradFunc: (dy: tf.Tensor) => tf.mul(dy, 3),
  }));
  gradientCheck((x) => tf.square(x!), [tf.tensor1d([1, 2])]);
  expect(() => gradientCheck((x) => wrong(x!), [tf.tensor1d([1, 2])])).toThrow(/gradientCheck: input 0/);
});

it("finds a leak and runs on the backends that are there", async () => {
  const seen: string[] = [];
  await onEachBackend(["cpu", "wasm", "no-such-backend"], async (backend) => {
    expect(tf.getBackend()).toBe(backend);
    seen.push(backend);
    await assertNoLeak(() => tf.dispose(tf.ones([2])));
    await expect(assertNoLeak(() => void tf.ones([2]))).rejects.toThrow(/1 tensors, 8 bytes/);
  });
  expect(seen).toEqual(["cpu", "wasm"]);
  const broken = () => {
    throw new Error("broken");
  };
  await expect(onEachBackend(["cpu"], broken)).rejects.toThrow("on cpu: broken");
  await expect(onEachBackend(["no-such-backend"], broken)).rejects.toThrow(/none of no-such-backend/);
});
