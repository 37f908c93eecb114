import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";
import { checkRank } from "./shape-check.ts";

/** FdivSoftmaxGrad: dx = y·(dy − Σ dy·y) of each row. */
export const softmaxGradKernel = defineKernel<{ dy: tf.Tensor; y: tf.Tensor }, object>({
  name: "FdivSoftmaxGrad",
  generic: ({ dy, y }) => {
    const weighted = tf.mul(dy, y);
    return tf.sub(weighted, tf.mul(y, tf.sum(weighted, 1, true)));
  },
});

/** FdivSoftmax: exp x / Σ exp x of each row of x [M, N]. */
export const softmaxKernel = defineKernel<{ x: tf.Tensor }, object>({
  name: "FdivSoftmax",
  generic: ({ x }) => (x.size === 0 ? tf.zeros(x.shape) : tf.softmax(x)),
  gradient: {
    inputs: [],
    outputs: [true],
    run: ([dy], [y]) => ({ x: () => softmaxGradKernel({ dy: dy!, y: y! }, {})[0]! }),
  },
});

/**
 * The softmax over the last axis, exp x / Σ exp x.
 *
 * @param x [..., N]; −∞ excludes a choice
 */
export function softmax(x: tf.Tensor): tf.Tensor {
  checkRank("softmax", "x", x, 1, 6);
  const size = x.shape[x.rank - 1]!;
  const rows = tf.reshape(x, [x.size / Math.max(size, 1), size]);
  return tf.reshape(softmaxKernel({ x: rows }, {})[0]!, x.shape);
}
