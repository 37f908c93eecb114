import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { attention } from "./attention.ts";
import { crossEntropy } from "./cross-entropy.ts";
import { embedding, segmentSum } from "./embedding.ts";
import { layerNorm } from "./layer-norm.ts";
import { linear } from "./linear.ts";
import { logSoftmax } from "./log-softmax.ts";
import { rmsNorm } from "./rms-norm.ts";
import { selectedLogProbs } from "./selected-log-probs.ts";

// As every operation of TensorFlow.js': a caller that disposes of the result need not be in a tidy.
it("operations leave nothing but their result behind, also outside of a tidy", async () => {
  await tf.setBackend("cpu");
  const x = tf.randomNormal([2, 3, 4]);
  const matrix = tf.randomNormal([6, 4]);
  const vector = tf.ones([4]);
  const ids = tf.tensor2d([0, 1, 2, 3, 2, 1], [2, 3], "int32");
  const targets = tf.tensor1d([0, 1, 2, 3, 2, 1], "int32");
  const layout = tf.tensor2d([0, 3, 9, 0, 3, 9], [2, 3], "int32");
  const values = tf.ones([6]);
  const square = tf.randomNormal([4, 4]);
  const operations: Record<string, () => tf.Tensor> = {
    attention: () => attention(x, x, x, layout, { heads: 2, kvHeads: 2 }),
    crossEntropy: () => crossEntropy(matrix, targets),
    embedding: () => embedding(matrix, ids),
    layerNorm: () => layerNorm(x, vector, vector, 1e-5),
    linear: () => linear(x, square),
    logSoftmax: () => logSoftmax(x),
    rmsNorm: () => rmsNorm(x, vector, 1e-5),
    segmentSum: () => segmentSum(values, targets, 4),
    selectedLogProbs: () => selectedLogProbs(matrix, square, targets),
  };
  for (const [name, run] of Object.entries(operations)) {
    const before = tf.memory();
    const result = run();
    expect([name, tf.memory().numTensors - before.numTensors]).toEqual([name, 1]);
    result.dispose();
  }
});
