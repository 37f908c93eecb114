import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";

type Unary = { x: tf.Tensor };

const softplusKernel = defineKernel<Unary, object>({
  name: "FdivSoftplus",
  generic: ({ x }) => tf.add(tf.relu(x), tf.log1p(tf.exp(tf.neg(tf.abs(x))))),
  gradient: {
    inputs: ["x"],
    outputs: [false],
    run: ([dy], [x]) => ({ x: () => tf.mul(dy!, tf.sigmoid(x!)) }),
  },
});

const logSigmoidKernel = defineKernel<Unary, object>({
  name: "FdivLogSigmoid",
  generic: ({ x }) => tf.sub(tf.minimum(x, 0), tf.log1p(tf.exp(tf.neg(tf.abs(x))))),
  gradient: {
    inputs: ["x"],
    outputs: [false],
    run: ([dy], [x]) => ({ x: () => tf.mul(dy!, tf.sigmoid(tf.neg(x!))) }),
  },
});

const log1mExpKernel = defineKernel<Unary, object>({
  name: "FdivLog1mExp",
  generic: ({ x }) =>
    tf.where(tf.greater(x, -Math.LN2), tf.log(tf.neg(tf.expm1(x))), tf.log1p(tf.neg(tf.exp(x)))),
  gradient: {
    inputs: ["x"],
    outputs: [false],
    run: ([dy], [x]) => ({ x: () => tf.div(tf.neg(dy!), tf.expm1(tf.neg(x!))) }),
  },
});

const logSumExpKernel = defineKernel<Unary, { axis: number }>({
  name: "FdivLogSumExp",
  generic: ({ x }, { axis }) => {
    const peak = tf.max(x, axis, true);
    const shift = tf.where(tf.isFinite(peak), peak, tf.zerosLike(peak));
    return tf.add(tf.log(tf.sum(tf.exp(tf.sub(x, shift)), axis, true)), shift);
  },
  gradient: {
    inputs: ["x"],
    outputs: [true],
    run: ([dy], [x, y]) => ({
      x: () => {
        const shift = tf.where(tf.isFinite(y!), y!, tf.zerosLike(y!));
        return tf.mul(dy!, tf.exp(tf.sub(x!, shift)));
      },
    }),
  },
});

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
