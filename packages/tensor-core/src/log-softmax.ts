import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";
import { checkRank } from "./shape-check.ts";

/** The stock log-sum-exp of each row of x [M, N], [M, 1]. */
export function stockRowLogSumExp(x: tf.Tensor): tf.Tensor {
  const shift = tf.max(x, 1, true);
  return tf.add(tf.log(tf.sum(tf.exp(tf.sub(x, shift)), 1, true)), shift);
}

/** FdivLogSoftmaxGrad: dx = dy − softmax·Σdy. */
export const logSoftmaxGradKernel = defineKernel<{ dy: tf.Tensor; y: tf.Tensor }, object>({
  name: "FdivLogSoftmaxGrad",
  generic: ({ dy, y }) => tf.sub(dy, tf.mul(tf.exp(y), tf.sum(dy, 1, true))),
});

/** FdivLogSoftmax: x − log Σ exp x of each row of x [M, N]. */
export const logSoftmaxKernel = defineKernel<{ x: tf.Tensor }, object>({
  name: "FdivLogSoftmax",
  generic: ({ x }) => (x.size === 0 ? tf.zeros(x.shape) : tf.sub(x, stockRowLogSumExp(x))),
  gradient: {
    inputs: [],
    outputs: [true],
    run: ([dy], [y]) => ({ x: () => logSoftmaxGradKernel({ dy: dy!, y: y! }, {})[0]! }),
  },
});

/**
 * The logarithm of the softmax over the last axis, x − log Σ exp x.
 *
 * @param x [..., N]; −∞ excludes a choice
 */
export function logSoftmax(x: tf.Tensor): tf.Tensor {
  checkRank("logSoftmax", "x", x, 1, 6);
  const size = x.shape[x.rank - 1]!;
  if (x.rank === 2) return logSoftmaxKernel({ x }, {})[0]!;
  return tf.tidy(() => {
    const rows = tf.reshape(x, [x.size / Math.max(size, 1), size]);
    return tf.reshape(logSoftmaxKernel({ x: rows }, {})[0]!, x.shape);
  });
}
