import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { logSoftmax } from "./log-softmax.ts";
import { selectedLogProbs } from "./selected-log-probs.ts";
import { assertAllClose, assertNoLeak, gradientCheck, onEachBackend } from "./testing/index.ts";

const backends = ["cpu", "wasm", "tensorflow"];
const noise = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, "float32", seed);
const [rows, size, vocabulary] = [7, 5, 11];
const hidden = noise([rows, size], 1);
const head = noise([vocabulary, size], 2);
const targets = tf.tensor1d([0, 10, 3, 3, 7, 1, 9], "int32");

/** All logits at once. */
const dense = (h: tf.Tensor, w: tf.Tensor): tf.Tensor =>
  tf.sum(tf.mul(logSoftmax(tf.matMul(h, w, false, true)), tf.oneHot(targets, vocabulary)), 1);

it("equals the dense computation to 1e-5 for every chunk size, forward and backward", () =>
  onEachBackend(backends, () => {
    const dy = noise([rows], 3);
    const exact = { absolute: 1e-5, relative: 0 };
    const expected = tf.grads((h, w) => dense(h!, w!))([hidden, head], dy);
    for (const chunk of [1, 2, 3, 7, 100]) {
      assertAllClose(selectedLogProbs(hidden, head, targets, { chunk }), dense(hidden, head), exact);
      const f = (h: tf.Tensor, w: tf.Tensor) => selectedLogProbs(h, w, targets, { chunk });
      const gradients = tf.grads((h, w) => f(h!, w!))([hidden, head], dy);
      gradients.forEach((gradient, i) => {
        assertAllClose(gradient, expected[i]!, exact);
      });
    }
  }));

it("has the right gradient", () =>
  onEachBackend(backends, () => {
    gradientCheck((h, w) => selectedLogProbs(h!, w!, targets, { chunk: 3 }), [hidden, head]);
  }));

it("computes a variable head's gradient in the same pass, and none for a frozen one", async () => {
  await tf.setBackend("cpu");
  const variable = tf.tidy(() => tf.variable(head));
  const count = async (weight: tf.Tensor, f: () => void) => {
    const { kernels } = await tf.profile(() => {
      tf.tidy(f);
      return weight;
    });
    return kernels
      .filter(({ name }) => name === "FdivSelectedLogProbsGrad")
      .map((k) => k.outputShapes.length);
  };
  const total = (h: tf.Tensor, w: tf.Tensor) => tf.sum(selectedLogProbs(h, w, targets)) as tf.Scalar;
  expect(await count(head, () => void tf.grad((h) => total(h, head))(hidden))).toEqual([1]);
  const trained = () => void tf.variableGrads(() => total(tf.slice(variable, 0, rows), variable));
  expect(await count(variable, trained)).toEqual([2]);
  const { grads } = tf.variableGrads(() => total(hidden, variable), [variable]);
  assertAllClose(grads[variable.name]!, tf.grad((w) => tf.sum(dense(hidden, w)))(head));
});

it("never holds all logits: the peak grows with the chunk, not with the rows", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], async () => {
    const [n, h, v] = [1024, 4, 256];
    const [x, w] = [noise([n, h], 4), noise([v, h], 5)];
    const t = tf.zeros([n], "int32") as tf.Tensor1D;
    const logits = 4 * n * v;
    const peakOf = async (chunk: number) => {
      const before = tf.memory().numBytes;
      const profile = await tf.profile(() => {
        const gradients = tf.grads((a, b) => selectedLogProbs(a!, b!, t, { chunk }))([x, w]);
        tf.dispose(gradients);
        return x;
      });
      return Math.max(...profile.kernels.map((kernel) => kernel.totalBytesSnapshot)) - before;
    };
    expect(await peakOf(n)).toBeGreaterThan(logits);
    expect(await peakOf(16)).toBeLessThan(logits / 4);
  }));

it("takes extreme hidden states, one row and none, and leaks nothing", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], async () => {
    const w = tf.tensor2d([[1], [-1]]);
    const h = tf.tensor2d([[1e4], [-100], [0]]);
    const t = tf.tensor1d([1, 1, 0], "int32");
    assertAllClose(selectedLogProbs(h, w, t), [-2e4, 0, -Math.LN2]);
    assertAllClose(tf.grad((x) => selectedLogProbs(x, w, t))(h), [-2, 0, 1]);
    assertAllClose(selectedLogProbs(tf.slice(h, 2, 1), w, tf.slice(t, 2, 1)), [-Math.LN2]);
    const none = tf.zeros([0], "int32");
    expect(selectedLogProbs(tf.zeros([0, 1]), w, none).shape).toEqual([0]);
    const gradients = tf.grads((x, y) => selectedLogProbs(x!, y!, none))([tf.zeros([0, 1]), w]);
    assertAllClose(gradients[1]!, [0, 0]);
    tf.dispose(gradients);
    await assertNoLeak(() =>
      tf.dispose(tf.grads((x, y) => selectedLogProbs(x!, y!, targets, { chunk: 2 }))([hidden, head])),
    );
  }));

it("names what does not fit", () => {
  expect(() => selectedLogProbs(hidden, tf.zeros([11, 4]), targets)).toThrow(
    /selectedLogProbs: headWeight has shape \[11, 4\], expected \[11, 5\] \(hidden \[7, 5\]\)/,
  );
  expect(() => selectedLogProbs(hidden, head, tf.zeros([2], "int32"))).toThrow(/targets has shape \[2\]/);
  expect(() => selectedLogProbs(hidden, head, targets, { chunk: 0 })).toThrow(/chunk is 0/);
});
