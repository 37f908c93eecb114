import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";

/** FdivSumRows: the sum over all axes of x [..., N] but the last, [N]; the gradient of a bias. */
export const sumRowsKernel = defineKernel<{ x: tf.Tensor }, object>({
  name: "FdivSumRows",
  generic: ({ x }) => {
    const n = x.shape[x.rank - 1]!;
    // The stock wasm sum of nothing is whatever its memory held.
    return x.size === 0 ? tf.zeros([n]) : tf.sum(tf.reshape(x, [-1, n]), 0);
  },
  gradient: {
    inputs: ["x"],
    outputs: [false],
    run: ([dy], [x]) => ({ x: () => tf.broadcastTo(dy!, x!.shape) }),
  },
});
