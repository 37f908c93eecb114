import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { defineKernel, implementKernel, withGenericKernels } from "./kernel.ts";

const cube = defineKernel<{ x: tf.Tensor }, { scale: number }>({
  name: "FdivTestCube",
  generic: ({ x }, { scale }) => tf.mul(tf.pow(x, 3), scale),
  gradient: {
    inputs: ["x"],
    outputs: [false],
    run: ([dy], [x], { scale }) => ({ x: () => tf.mul(dy!, tf.mul(tf.square(x!), 3 * scale)) }),
  },
});

it("runs the generic twin and its registered gradient without leaking", async () => {
  await tf.setBackend("cpu");
  const before = tf.memory().numTensors;
  const x = tf.tensor1d([1, 2]);
  const { value, grads } = tf.valueAndGrads((...xs: tf.Tensor[]) =>
    tf.sum(cube({ x: xs[0]! }, { scale: 2 })[0]!),
  )([x]);
  expect(Array.from(value.dataSync())).toEqual([18]);
  expect(Array.from(grads[0]!.dataSync())).toEqual([6, 24]);
  tf.dispose([x, value, ...grads]);
  expect(tf.memory().numTensors).toBe(before);
});

it("prefers a backend's own implementation until the twins are asked for", async () => {
  await tf.setBackend("cpu");
  implementKernel("FdivTestCube", "cpu", ({ x }) => tf.mul(x as tf.Tensor, -1));
  const x = tf.tensor1d([3]);
  expect(cube({ x }, { scale: 1 })[0]!.dataSync()[0]).toBe(-3);
  expect(withGenericKernels(() => cube({ x }, { scale: 1 })[0]!.dataSync()[0])).toBeCloseTo(27, 4);
});
