import * as tf from "@tensorflow/tfjs-core";
import type { SinkhornPlanning } from "./sinkhorn-options.ts";
import type { Solution } from "./solution.ts";
import { canLook, type TransportProblem } from "./transport-problem.ts";
import { unrecorded } from "./unrecorded.ts";

/** How well plans met their marginals, of each problem; constants, through which no gradient goes. */
export interface MarginalFit {
  /** Σ|P1 − a| in the marginals' mass, [problems]; of relaxed marginals the distance to a·exp(−f/ρ) */
  rowError: tf.Tensor1D;
  /** Whether both sides are within the tolerance (10⁻⁴ of the mass when iterations are fixed), bool [problems]. */
  converged: tf.Tensor1D;
}

/** Without the points that have no mass, where a potential is −∞. */
export const finite = (potential: tf.Tensor): tf.Tensor =>
  tf.where(tf.isInf(potential), tf.zerosLike(potential), potential);

/** A marginal held by ρ·KL is met where the sums are a·exp(−f/ρ). */
export const wantedSums = (potential: tf.Tensor, mass: tf.Tensor, rho: number): tf.Tensor =>
  Number.isFinite(rho) ? tf.mul(mass, tf.exp(tf.div(finite(potential), -rho))) : mass;

/** [problems] each: how far the plan's sums are from what they should be. */
export function marginalErrors(
  { a, b }: TransportProblem,
  { f, g, rows, columns }: Solution,
  { rho }: SinkhornPlanning,
) {
  const error = (potential: tf.Tensor, sums: tf.Tensor, mass: tf.Tensor, weight: number) =>
    tf.sum(tf.abs(tf.sub(sums, wantedSums(potential, mass, weight))), 1) as tf.Tensor1D;
  return { rowError: error(f, rows, a, rho.rows), columnError: error(g, columns, b, rho.columns) };
}

/** Share of the mass that sums may be off beyond the tolerance, but for what rounding of the exponents adds. */
const ownShare = (tolerance: number): number => (tolerance > 0 ? 1e-6 : 1e-4);

/** What a potential of size 1 makes of that rounding. */
const roundingOf = (lambda: number): number => 2 ** -24 / lambda;

const largestOf = (potential: tf.Tensor): tf.Tensor => tf.max(tf.abs(finite(potential)), 1);

/**
 * Whether both errors are within the tolerance and what single precision adds to it: exponents (f + g − D)/λ are known to
 * 2⁻²⁴·(max|f| + max|g|)/λ, and so is each part of the mass.
 */
export function isWithin(
  { rowError, columnError }: { rowError: tf.Tensor; columnError: tf.Tensor },
  { a }: TransportProblem,
  { f, g }: Solution,
  { tolerance, lambda }: SinkhornPlanning,
): tf.Tensor1D {
  const rounding = tf.mul(roundingOf(lambda), tf.add(largestOf(f), largestOf(g)));
  const share = tf.add(rounding, ownShare(tolerance));
  const allowed = tf.add(tf.mul(tf.sum(a, 1), share), tolerance);
  return tf.lessEqual(tf.maximum(rowError, columnError), allowed) as tf.Tensor1D;
}

/** What a loss tells about its plans. */
export function marginalFit(
  problem: TransportProblem,
  solution: Solution,
  planning: SinkhornPlanning,
): MarginalFit {
  if (canLook()) return fitByNumbers(problem, solution, planning);
  return {
    rowError: unrecorded(() => marginalErrors(problem, solution, planning).rowError) as tf.Tensor1D,
    converged: unrecorded(() =>
      isWithin(marginalErrors(problem, solution, planning), problem, solution, planning),
    ) as tf.Tensor1D,
  };
}

/** The same where numbers are at hand: a dozen operations on a few numbers are half of a small loss's time. */
function fitByNumbers(
  { a, b }: TransportProblem,
  { f, g, rows, columns }: Solution,
  { rho, lambda, tolerance }: SinkhornPlanning,
): MarginalFit {
  const batch = a.shape[0];
  const side = (potential: tf.Tensor2D, sums: tf.Tensor2D, mass: tf.Tensor2D, weight: number) => {
    const points = mass.shape[1];
    const [shown, met, held] = [potential, sums, mass].map((x) => x.dataSync<"float32">());
    const [error, largest, total] = [0, 0, 0].map(() => new Float64Array(batch));
    for (let i = 0; i < batch; i++)
      for (let at = i * points; at < (i + 1) * points; at++) {
        const [x, m] = [shown![at]!, held![at]!];
        const known = Math.abs(x) === Number.POSITIVE_INFINITY ? 0 : x;
        error![i]! += Math.abs(met![at]! - (Number.isFinite(weight) ? m * Math.exp(-known / weight) : m));
        largest![i] = Math.max(largest![i]!, Math.abs(known));
        total![i]! += m;
      }
    return { error: error!, largest: largest!, total: total! };
  };
  const [left, right] = [side(f, rows, a, rho.rows), side(g, columns, b, rho.columns)] as const;
  const converged = left.error.map((error, i) => {
    const share = roundingOf(lambda) * (left.largest[i]! + right.largest[i]!) + ownShare(tolerance);
    return Number(Math.max(error, right.error[i]!) <= left.total[i]! * share + tolerance);
  });
  return {
    rowError: tf.tensor1d(Float32Array.from(left.error)),
    converged: tf.tensor1d(Uint8Array.from(converged), "bool"),
  };
}

/** The worst of several transports of the same problems. */
export const worstFit = (fits: MarginalFit[]): MarginalFit => ({
  rowError: fits.map(({ rowError }) => rowError).reduce((x, y) => tf.maximum(x, y)),
  converged: fits.map(({ converged }) => converged).reduce((x, y) => tf.logicalAnd(x, y)),
});

/** Of problems without points. */
export const nothingToMeet = (problems: number): MarginalFit => ({
  rowError: tf.zeros([problems]),
  converged: tf.ones([problems], "bool"),
});
