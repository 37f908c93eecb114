import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";
import { checkShape } from "./shape-check.ts";

/** FdivSwigluGrad: the gradients of silu(gate)·up with respect to gate and up. */
export const swigluGradKernel = defineKernel<{ dy: tf.Tensor; gate: tf.Tensor; up: tf.Tensor }, object>({
  name: "FdivSwigluGrad",
  generic: ({ dy, gate, up }) => {
    const s = tf.sigmoid(gate);
    const silu = tf.mul(gate, s);
    const slope = tf.mul(s, tf.add(1, tf.mul(gate, tf.sub(1, s))));
    return [tf.mul(tf.mul(dy, up), slope), tf.mul(dy, silu)];
  },
});

/** FdivSwiglu: silu(gate)·up, equal shapes of any rank. */
export const swigluKernel = defineKernel<{ gate: tf.Tensor; up: tf.Tensor }, object>({
  name: "FdivSwiglu",
  generic: ({ gate, up }) => tf.mul(tf.mul(gate, tf.sigmoid(gate)), up),
  gradient: {
    inputs: ["gate", "up"],
    outputs: [false],
    run: ([dy], [gate, up]) => {
      const [dgate, dup] = swigluGradKernel({ dy: dy!, gate: gate!, up: up! }, {});
      return { gate: () => dgate!, up: () => dup! };
    },
  },
});

/**
 * The gated activation of Llama's feed-forward block, silu(gate)·up (Shazeer 2020, https://arxiv.org/abs/2002.05202).
 *
 * @param gate any shape
 * @param up gate's shape
 * @throws when the shapes differ
 */
export function swiglu(gate: tf.Tensor, up: tf.Tensor): tf.Tensor {
  checkShape("swiglu", "up", up, gate.shape, "gate's shape");
  return swigluKernel({ gate, up }, {})[0]!;
}
