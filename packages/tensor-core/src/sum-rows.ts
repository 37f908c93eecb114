import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";

/** FdivSumRows: the sum over the rows of x [M, N], [N]; the gradient of a bias. */
export const sumRowsKernel = defineKernel<{ x: tf.Tensor }, object>({
  name: "FdivSumRows",
  // The stock wasm sum of nothing is whatever its memory held.
  generic: ({ x }) => (x.size === 0 ? tf.zeros([x.shape[1]!]) : tf.sum(x, 0)),
  gradient: {
    inputs: ["x"],
    outputs: [false],
    run: ([dy], [x]) => ({ x: () => tf.tile(tf.reshape(dy!, [1, -1]), [x!.shape[0]!, 1]) }),
  },
});
