import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";

/** `gelu` is exact (by erf), `geluTanh` is GPT-2's approximation, `silu` is x·σ(x). */
export type Activation = "none" | "gelu" | "geluTanh" | "silu" | "relu";

const geluTanhScale = Math.sqrt(2 / Math.PI);
const geluTanhCubic = 0.044715;

/** tanh's argument in GPT-2's GELU: √(2/π)·(x + .044715x³). */
const geluTanhArgument = (x: tf.Tensor): tf.Tensor =>
  tf.mul(tf.mul(x, geluTanhScale), tf.add(tf.mul(tf.square(x), geluTanhCubic), 1));

/** The stock composite of an activation, for generic twins. */
export function stockActivation(x: tf.Tensor, activation: Activation): tf.Tensor {
  switch (activation) {
    case "none":
      return tf.add(x, 0);
    case "gelu":
      return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
    case "geluTanh":
      return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(geluTanhArgument(x)), 1));
    case "silu":
      return tf.mul(x, tf.sigmoid(x));
    case "relu":
      return tf.relu(x);
  }
}

/** The stock composite of an activation's derivative. */
function stockDerivative(x: tf.Tensor, activation: Activation): tf.Tensor {
  switch (activation) {
    case "none":
      return tf.onesLike(x);
    case "gelu": {
      const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
      const cumulative = tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
      return tf.add(cumulative, tf.mul(x, density));
    }
    case "geluTanh": {
      const t = tf.tanh(geluTanhArgument(x));
      const inner = tf.mul(tf.add(tf.mul(tf.square(x), 3 * geluTanhCubic), 1), geluTanhScale);
      const bell = tf.mul(tf.sub(1, t), tf.add(1, t));
      return tf.mul(tf.add(tf.add(t, 1), tf.mul(tf.mul(x, bell), inner)), 0.5);
    }
    case "silu": {
      const s = tf.sigmoid(x);
      return tf.mul(s, tf.add(1, tf.mul(x, tf.sub(1, s))));
    }
    case "relu":
      return tf.step(x);
  }
}

/** FdivActivationGrad: dx = dy·f′(x). */
export const activationGradKernel = defineKernel<{ dy: tf.Tensor; x: tf.Tensor }, { activation: Activation }>(
  {
    name: "FdivActivationGrad",
    generic: ({ dy, x }, { activation }) => tf.mul(dy, stockDerivative(x, activation)),
  },
);

/** FdivActivation: y = f(x), any shape. */
export const activationKernel = defineKernel<{ x: tf.Tensor }, { activation: Activation }>({
  name: "FdivActivation",
  generic: ({ x }, { activation }) => stockActivation(x, activation),
  gradient: {
    inputs: ["x"],
    outputs: [false],
    run: ([dy], [x], { activation }) => ({
      x: () => activationGradKernel({ dy: dy!, x: x! }, { activation })[0]!,
    }),
  },
});

/**
 * An activation function, element by element.
 *
 * gelu(x) = x·Φ(x) (Hendrycks & Gimpel 2016, https://arxiv.org/abs/1606.08415); silu(x) = x·σ(x); relu(x) = max(x, 0).
 *
 * @param x any shape
 */
export function activate(x: tf.Tensor, kind: Activation): tf.Tensor {
  return kind === "none" ? x : activationKernel({ x }, { activation: kind })[0]!;
}
