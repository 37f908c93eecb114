import "@tensorflow/tfjs";
import { assertAllClose, gradientCheck, onEachBackend } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { overTokens } from "./answer-vocabulary.ts";

it("keeps the asked tokens' logits in their order, so that softmax is the law among them, and has its gradient", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], () => {
    const logits = tf.randomNormal([4, 9], 0, 2, "float32", 3) as tf.Tensor2D;
    const ids = [7, 0, 4];
    const law = tf.softmax(logits).arraySync() as number[][];
    const expected = law.map((row) => {
      const own = ids.map((id) => row[id]!);
      return own.map((p) => p / own.reduce((a, b) => a + b, 0));
    });
    assertAllClose(tf.softmax(overTokens(logits, ids)), expected);
    gradientCheck((x) => overTokens(x as tf.Tensor2D, ids), [logits]);
  }));

it("refuses tokens that are not there, and none", () => {
  const logits = tf.zeros([2, 5]) as tf.Tensor2D;
  expect(() => overTokens(logits, [5])).toThrow(/holds 5, expected ids below 5/);
  expect(() => overTokens(logits, [])).toThrow(/holds no token/);
});
