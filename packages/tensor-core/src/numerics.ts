import * as tf from "@tensorflow/tfjs-core";
import { defineKernel, type Kernel } from "./kernel.ts";

type Unary = { x: tf.Tensor };

/**
 * log(1 + x) by Kahan's correction log(u)·x/(u − 1), u = 1 + x: the stock operation is log(1 + x) as it stands on wasm and
 * on GPUs, which loses all digits of a small x.
 */
function accurateLog1p(x: tf.Tensor): tf.Tensor {
  const u = tf.add(x, 1);
  const rounded = tf.sub(u, 1);
  const lost = tf.equal(rounded, 0);
  const corrected = tf.div(tf.mul(tf.log(u), x), tf.where(lost, tf.onesLike(x), rounded));
  return tf.where(lost, x, tf.where(tf.isInf(x), tf.log(u), corrected));
}

const log1pKernel = defineKernel<Unary, object>({
  name: "FdivLog1p",
  generic: ({ x }) => accurateLog1p(x),
  gradient: {
    inputs: ["x"],
    outputs: [false],
    run: ([dy], [x]) => ({ x: () => tf.div(dy!, tf.add(x!, 1)) }),
  },
});

const softplusKernel = defineKernel<Unary, object>({
  name: "FdivSoftplus",
  generic: ({ x }) => tf.add(tf.relu(x), accurateLog1p(tf.exp(tf.neg(tf.abs(x))))),
  gradient: {
    inputs: ["x"],
    outputs: [false],
    run: ([dy], [x]) => ({ x: () => tf.mul(dy!, tf.sigmoid(x!)) }),
  },
});

const logSigmoidKernel = defineKernel<Unary, object>({
  name: "FdivLogSigmoid",
  generic: ({ x }) => tf.sub(tf.minimum(x, 0), accurateLog1p(tf.exp(tf.neg(tf.abs(x))))),
  gradient: {
    inputs: ["x"],
    outputs: [false],
    run: ([dy], [x]) => ({ x: () => tf.mul(dy!, tf.sigmoid(tf.neg(x!))) }),
  },
});

const log1mExpKernel = defineKernel<Unary, object>({
  name: "FdivLog1mExp",
  generic: ({ x }) =>
    tf.where(tf.greater(x, -Math.LN2), tf.log(tf.neg(tf.expm1(x))), accurateLog1p(tf.neg(tf.exp(x)))),
  gradient: {
    inputs: ["x"],
    outputs: [false],
    run: ([dy], [x]) => ({ x: () => tf.div(tf.neg(dy!), tf.expm1(tf.neg(x!))) }),
  },
});

/** Makes an infinite maximum harmless as a shift. */
const finiteOrZero = (x: tf.Tensor): tf.Tensor => tf.where(tf.isFinite(x), x, tf.zerosLike(x));

const logSumExpKernel: Kernel<Unary, { axis: number }> = defineKernel({
  name: "FdivLogSumExp",
  generic: ({ x }, { axis }) => {
    const shift = finiteOrZero(tf.max(x, axis, true));
    return tf.add(tf.log(tf.sum(tf.exp(tf.sub(x, shift)), axis, true)), shift);
  },
  gradient: {
    inputs: ["x"],
    outputs: [false],
    run: ([dy], [x], attributes) => ({
      // Computed anew rather than saved: TensorFlow.js cannot differentiate a second time through a saved output.
      x: () => tf.mul(dy!, tf.exp(tf.sub(x!, finiteOrZero(logSumExpKernel({ x: x! }, attributes)[0]!)))),
    }),
  },
});

/** log(1 + x), element by element, with the full precision of float32 on every backend. */
export const log1p = (x: tf.Tensor): tf.Tensor => log1pKernel({ x }, {})[0]!;

/** log(1 + eˣ), element by element, without overflow. */
export const softplus = (x: tf.Tensor): tf.Tensor => softplusKernel({ x }, {})[0]!;

/** log σ(x) = −log(1 + e⁻ˣ), element by element, without overflow. */
export const logSigmoid = (x: tf.Tensor): tf.Tensor => logSigmoidKernel({ x }, {})[0]!;

/**
 * log(1 − eˣ) for x ≤ 0, element by element, accurate at both ends (Mächler 2012,
 * https://cran.r-project.org/package=Rmpfr/vignettes/log1mexp-note.pdf, eq. 7). Zero gives −∞; a positive x gives NaN.
 */
export const log1mExp = (x: tf.Tensor): tf.Tensor => log1mExpKernel({ x }, {})[0]!;

/**
 * log Σ exp x along one axis, without overflow; a slice of −∞ alone gives −∞, and the gradient there is zero.
 *
 * @param axis default the last
 * @param keepDims whether the axis stays, of size 1
 */
export function logSumExp(x: tf.Tensor, axis = -1, keepDims = false): tf.Tensor {
  const positive = axis < 0 ? axis + x.rank : axis;
  if (!(positive >= 0 && positive < x.rank)) {
    throw new Error(`logSumExp: axis ${axis} is outside x [${x.shape.join(", ")}].`);
  }
  const y = logSumExpKernel({ x }, { axis: positive })[0]!;
  return keepDims ? y : tf.squeeze(y, [positive]);
}
