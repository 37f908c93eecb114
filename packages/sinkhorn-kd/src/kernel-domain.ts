import * as tf from "@tensorflow/tfjs-core";
import { KernelUnderflowError } from "./errors.ts";
import { attributesOf } from "./potentials.ts";
import type { SinkhornPlanning } from "./sinkhorn-options.ts";
import type { Solution } from "./solution.ts";
import type { TransportProblem } from "./transport-problem.ts";

/** exp(−87.3) is the least normal number of float32. */
const largestRatio = 87;

const product = (kernel: tf.Tensor, v: tf.Tensor, transposed: boolean): tf.Tensor =>
  tf.squeeze(tf.matMul(kernel, tf.expandDims(v, 2), transposed), [2]);

/** mass/x, 0 where there is no mass. */
const scalingOf = (mass: tf.Tensor, x: tf.Tensor, damping: number): tf.Tensor => {
  const quotient = tf.div(mass, tf.where(tf.greater(mass, 0), x, tf.onesLike(x)));
  return damping === 1 ? quotient : tf.pow(quotient, damping);
};

/**
 * Sinkhorn as first written, on K = exp(−D/λ): u = a/(Kv), v = b/(Kᵀu), P = diag(u)·K·diag(v) (arXiv 1306.0895).
 *
 * @throws KernelUnderflowError where max D/λ > 87
 */
export function kernelDomain({ cost, a, b }: TransportProblem, planning: SinkhornPlanning): Solution {
  const { lambda, rowDamping, columnDamping, iterations, tolerance, checkEvery } = attributesOf(planning);
  const largest = cost.size === 0 ? 0 : tf.max(cost).dataSync()[0]!;
  if (!(largest / lambda <= largestRatio))
    throw new KernelUnderflowError(
      `sinkhorn: exp(−D/λ) underflows, the largest cost is ${largest} and lambda ${lambda}: take domain "log" (the default), or ` +
        `lambda of at least ${(largest / largestRatio).toPrecision(3)}.`,
    );
  const kernel = tf.exp(tf.div(cost, -lambda));
  let u: tf.Tensor = tf.onesLike(a);
  let v: tf.Tensor = tf.cast(tf.greater(b, 0), "float32");
  let active: tf.Tensor = tf.ones([cost.shape[0], 1]);
  let steps: tf.Tensor = tf.zerosLike(active);
  for (let step = 0; step < iterations; step++) {
    const isCheck = tolerance > 0 && step > 0 && step % checkEvery === 0;
    const before = [u, v, active, steps];
    [u, v, active, steps] = tf.tidy(() => {
      const reached = product(kernel, v, false);
      const nextU = scalingOf(a, reached, rowDamping);
      const moved = tf.sum(tf.abs(tf.mul(tf.sub(nextU, u), reached)), 1, true);
      const going = isCheck
        ? tf.mul(active, tf.cast(tf.greater(moved, tolerance), "float32"))
        : tf.clone(active);
      const nextV = scalingOf(b, product(kernel, nextU, true), columnDamping);
      const pick = (now: tf.Tensor, old: tf.Tensor) =>
        tolerance > 0 ? tf.where(tf.tile(tf.greater(going, 0), [1, now.shape[1]!]), now, old) : now;
      return [pick(nextU, u), pick(nextV, v), going, tf.add(steps, going)];
    }) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
    tf.dispose(before);
    if (isCheck && tf.tidy(() => tf.sum(active)).dataSync()[0] === 0) break;
  }
  const plan = tf.mul(tf.mul(tf.expandDims(u, 2), kernel), tf.expandDims(v, 1)) as tf.Tensor3D;
  return {
    f: tf.mul(lambda, tf.log(u)) as tf.Tensor2D,
    g: tf.mul(lambda, tf.log(v)) as tf.Tensor2D,
    steps: tf.cast(tf.squeeze(steps, [1]), "int32") as tf.Tensor1D,
    plan,
    rows: tf.sum(plan, 2) as tf.Tensor2D,
    columns: tf.sum(plan, 1) as tf.Tensor2D,
    transported: tf.sum(tf.mul(plan, cost), [1, 2]) as tf.Tensor1D,
  };
}
