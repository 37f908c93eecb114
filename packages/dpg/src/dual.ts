import { conditionalVariances, solvePositive } from "./cholesky.ts";
import { logSumOf } from "./log-space.ts";

/** Weighted samples of the density to be tilted. */
export interface DualSamples {
  /** log of what each sample weighs, P/q, up to a constant of its context; −∞ where the density has no mass. */
  logWeights: Float64Array;
  /** φₖ of each sample, [features][samples]. */
  features: readonly Float64Array[];
  /** The samples' indexes by context. */
  contexts: readonly (readonly number[])[];
}

/** The dual at one λ. */
export interface DualPoint {
  /** g(λ) = mean_c log Ẑ_c(λ) − λ·μ, up to a constant: convex, least where the moments are met. */
  value: number;
  /** mean_c E_{p_c} φ. */
  moments: Float64Array;
  /** Hessian of g: mean_c Cov_{p_c} φ, [features, features]. */
  covariance: Float64Array[];
  /** Covariance of the sampling error of the moments, [features, features]. */
  errors: Float64Array[];
  /** log mean of a context's weights times e^{λ·φ}, one a context. */
  logPartition: Float64Array;
  /** (Σw)²/Σw² of each context. */
  effectiveSamples: Float64Array;
}

const squareMatrix = (size: number) => Array.from({ length: size }, () => new Float64Array(size));

/** λ·φ of a sample. */
function tilt(samples: DualSamples, lambda: ArrayLike<number>, i: number): number {
  let sum = 0;
  for (let k = 0; k < lambda.length; k++) sum += lambda[k]! * samples.features[k]![i]!;
  return sum;
}

/** Value, slope and curvature of the dual; each context normalised by itself. */
export function dualAt(
  samples: DualSamples,
  lambda: ArrayLike<number>,
  targets: ArrayLike<number>,
): DualPoint {
  const { contexts, features, logWeights } = samples;
  const size = features.length;
  const count = contexts.length;
  const moments = new Float64Array(size);
  const covariance = squareMatrix(size);
  const errors = squareMatrix(size);
  const logPartition = new Float64Array(count);
  const effectiveSamples = new Float64Array(count);
  let value = 0;
  for (const [c, members] of contexts.entries()) {
    const tilted = members.map((i) => logWeights[i]! + tilt(samples, lambda, i));
    const total = logSumOf(tilted);
    const shares = tilted.map((x) => Math.exp(x - total));
    const mean = features.map((values) =>
      members.reduce((sum, i, m) => sum + (shares[m] === 0 ? 0 : shares[m]! * values[i]!), 0),
    );
    let squares = 0;
    for (const [m, i] of members.entries()) {
      const share = shares[m]!;
      if (share === 0) continue;
      squares += share * share;
      for (let j = 0; j < size; j++) {
        const deviation = features[j]![i]! - mean[j]!;
        for (let k = 0; k <= j; k++) {
          const product = (share * deviation * (features[k]![i]! - mean[k]!)) / count;
          covariance[j]![k]! += product;
          errors[j]![k]! += (product * share) / count;
        }
      }
    }
    logPartition[c] = total - Math.log(members.length);
    effectiveSamples[c] = 1 / squares;
    value += total / count;
    for (let k = 0; k < size; k++) moments[k]! += mean[k]! / count;
  }
  for (let j = 0; j < size; j++) {
    value -= lambda[j]! * targets[j]!;
    for (let k = 0; k < j; k++) {
      covariance[k]![j] = covariance[j]![k]!;
      errors[k]![j] = errors[j]![k]!;
    }
  }
  return { value, moments, covariance, errors, logPartition, effectiveSamples };
}

/**
 * Whether a tilt has all but removed the spread of the features in some direction in which they had one: the moments lie on the border of
 * what can be reached, and λ goes to infinity.
 */
function isOnBorder(before: DualPoint, after: DualPoint): boolean {
  const [wide, narrow] = [conditionalVariances(before.covariance), conditionalVariances(after.covariance)];
  return wide.some(
    (variance, k) => variance > 1e-9 * before.covariance[k]![k]! && narrow[k]! < 1e-8 * variance,
  );
}

/** How the search for λ ended. */
export interface DualFit {
  lambda: Float64Array;
  point: DualPoint;
  /** Newton steps taken. */
  iterations: number;
  /** `infeasible`: the moments lie outside what any tilt of these samples can reach, or on its border; `stalled`: steps ran out. */
  outcome: "converged" | "infeasible" | "stalled";
}

/**
 * Whether no distribution over these samples has the moments, in the direction of λ: on average over contexts even the largest λ·φ is no
 * more than λ·μ.
 */
function isCertificate(samples: DualSamples, lambda: ArrayLike<number>, targets: ArrayLike<number>): boolean {
  let margin = 0;
  let size = 0;
  for (const members of samples.contexts) {
    let largest = Number.NEGATIVE_INFINITY;
    for (const i of members)
      if (samples.logWeights[i]! > Number.NEGATIVE_INFINITY)
        largest = Math.max(largest, tilt(samples, lambda, i));
    margin += largest / samples.contexts.length;
    size += Math.abs(largest) / samples.contexts.length;
  }
  for (let k = 0; k < lambda.length; k++) {
    margin -= lambda[k]! * targets[k]!;
    size += Math.abs(lambda[k]! * targets[k]!);
  }
  return size > 0 && margin <= 1e-9 * size;
}

const largestChange = 5;

/**
 * Least point of the dual by Newton's method with backtracking (Armijo), from λ = 0 or a start; the dual is convex, so that it is the only one.
 *
 * @param tolerance of the moments, in units of each feature's spread
 */
export function fitDual(
  samples: DualSamples,
  targets: readonly number[],
  options: { tolerance?: number; maxIterations?: number; start?: ArrayLike<number> } = {},
): DualFit {
  const { tolerance = 1e-9, maxIterations = 200 } = options;
  let lambda = Float64Array.from(options.start ? Array.from(options.start) : targets.map(() => 0));
  let point = dualAt(samples, lambda, targets);
  const untilted = options.start ? dualAt(samples, new Float64Array(targets.length), targets) : point;
  const spreads = untilted.covariance.map((row, k) => Math.sqrt(row[k]!) || 1);
  const ranges = samples.features.map((values) => {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
    return high - low;
  });
  for (let iterations = 0; ; iterations++) {
    const slope = point.moments.map((moment, k) => moment - targets[k]!);
    const done = (outcome: DualFit["outcome"]): DualFit => ({ lambda, point, iterations, outcome });
    if (isCertificate(samples, lambda, targets)) return done("infeasible");
    if (slope.every((x, k) => Math.abs(x) <= tolerance * spreads[k]!))
      return done(isOnBorder(untilted, point) ? "infeasible" : "converged");
    if (iterations === maxIterations) return done("stalled");
    const newton = solvePositive(point.covariance, slope).map((x) => -x);
    // Far from the optimum the curvature is none to go by: no log weight changes by more than this at once.
    const reach = newton.reduce((sum, x, k) => sum + Math.abs(x) * ranges[k]!, 0);
    const step = newton.map((x) => x * Math.min(1, largestChange / reach || 1));
    const descent = step.reduce((sum, x, k) => sum + x * slope[k]!, 0);
    let scale = 1;
    let next: DualPoint | undefined;
    let moved = lambda;
    for (; scale > 1e-18; scale /= 2) {
      moved = lambda.map((x, k) => x + scale * step[k]!);
      if (!moved.every(Number.isFinite)) continue;
      next = dualAt(samples, moved, targets);
      // Near the optimum a full step gains less than rounding loses, in sums of so many terms.
      const rounding =
        Math.max(1e-14, Number.EPSILON * samples.logWeights.length) * (1 + Math.abs(point.value));
      if (next.value <= point.value + 1e-4 * scale * descent + rounding) break;
      next = undefined;
    }
    // No descent that float64 can see: as near as it gets.
    if (!next) {
      const near = slope.every((x, k) => Math.abs(x) <= 1e-6 * spreads[k]!);
      return done(near ? "converged" : "stalled");
    }
    lambda = moved;
    point = next;
  }
}

/** Standard errors of λ by the delta method, √diag(H⁻¹·S·H⁻¹), H the covariance of the features and S that of their moments' errors. */
export function lambdaErrors({ covariance, errors }: DualPoint): number[] {
  return covariance.map((_, k) => {
    const unit = Float64Array.from(covariance, (__, j) => (j === k ? 1 : 0));
    const row = solvePositive(covariance, unit);
    let variance = 0;
    for (let a = 0; a < row.length; a++)
      for (let b = 0; b < row.length; b++) variance += row[a]! * errors[a]![b]! * row[b]!;
    return Math.sqrt(Math.max(0, variance));
  });
}
