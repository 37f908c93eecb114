import * as tf from "@tensorflow/tfjs-core";
import type { MarginalFit } from "./marginal-fit.ts";
import { unrecorded } from "./unrecorded.ts";

/** Newton's steps come from above and at least halve the exponent that is left, so that float32 has few to make. */
const newtonSteps = 12;

/** Far below what float32 tells two masses apart by; keeps square roots off 0. */
const leastSquare = 1e-30;

/**
 * (a_i − b_i)² + 2t(a_i + b_i) and the root R of it + t²: how much mass of class i moves under K = (1 − ε)I + ε is ½(R − t),
 * a smooth |a_i − b_i|/2 and more.
 */
function rootOf(a: tf.Tensor, b: tf.Tensor, t: tf.Tensor) {
  const inner = tf.add(tf.square(tf.sub(a, b)), tf.mul(tf.mul(2, t), tf.add(a, b)));
  return { inner, root: tf.sqrt(tf.maximum(tf.add(inner, tf.square(t)), leastSquare)) };
}

/** What all classes move at t, [problems, 1]. */
function movedAt(a: tf.Tensor, b: tf.Tensor, t: tf.Tensor): tf.Tensor {
  const { inner, root } = rootOf(a, b, t);
  return tf.mul(0.5, tf.sum(tf.div(inner, tf.add(root, t)), 1, true));
}

/**
 * The converged ⟨P, D⟩ of entropic transport under D = 1 − I, without iterations: with ε = e^{−1/λ} and κ = ε/(1 − ε) the scaling vectors
 * follow from one number τ that solves τ = ½Σ(R_i − t), R_i = √((a_i − b_i)² + 2t(a_i + b_i) + t²), t = κτ, and the value is
 * (τ − ε)/(1 − ε): total variation as λ → 0, where Sinkhorn needs the more iterations the smaller λ is. Differentiable in a and b.
 *
 * @param a [problems, V], each of mass 1, and b likewise
 */
export function zeroOneTransport(
  a: tf.Tensor2D,
  b: tf.Tensor2D,
  lambda: number,
): MarginalFit & { value: tf.Tensor1D } {
  const [epsilon, rest] = [Math.exp(-1 / lambda), -Math.expm1(-1 / lambda)];
  const kappa = epsilon / rest;
  const spread = (tau: tf.Tensor): tf.Tensor => tf.maximum(tf.mul(kappa, tau), leastSquare);
  // d(moved)/dτ − 1, below 0 at and above the solution.
  const slopeAt = (t: tf.Tensor): tf.Tensor => {
    const { root } = rootOf(a, b, t);
    const each = tf.sub(tf.div(tf.add(tf.add(a, b), t), root), 1);
    return tf.sub(tf.mul(0.5 * kappa, tf.sum(each, 1, true)), 1);
  };
  // A constant, whose derivative the one step below adds.
  const solution = unrecorded(() => {
    let tau: tf.Tensor = tf.ones([a.shape[0], 1]);
    for (let step = 0; step < newtonSteps; step++) {
      const t = spread(tau);
      tau = tf.sub(tau, tf.div(tf.sub(movedAt(a, b, t), tau), slopeAt(t)));
    }
    return tau;
  });
  const slope = unrecorded(() => slopeAt(spread(solution)));
  const rowError = unrecorded(() =>
    tf.squeeze(tf.abs(tf.sub(movedAt(a, b, spread(solution)), solution)), [1]),
  ) as tf.Tensor1D;
  const tau = tf.sub(solution, tf.div(tf.sub(movedAt(a, b, spread(solution)), solution), slope));
  return {
    value: tf.squeeze(lambda < 1 ? tf.div(tf.sub(tau, epsilon), rest) : stayed(a, b, spread(tau), rest), [1]),
    rowError,
    converged: tf.lessEqual(rowError, 1e-4),
  };
}

/** 1 − Σ P_ii, P_ii = 2ab/((1 − ε)(a + b + t + R)): what τ − ε loses its digits at. */
function stayed(a: tf.Tensor, b: tf.Tensor, t: tf.Tensor, rest: number): tf.Tensor {
  const { root } = rootOf(a, b, t);
  const below = tf.mul(rest, tf.add(tf.add(tf.add(a, b), t), root));
  return tf.sub(1, tf.sum(tf.div(tf.mul(2, tf.mul(a, b)), below), 1, true));
}
