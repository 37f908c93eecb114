import { type Divergence, exactDivergence } from "@fdiv/divergences";
import { boundedScore } from "./baseline.ts";
import { type EstimatorOptions, estimator, logTargets } from "./estimator.ts";
import { logSumOf } from "./log-space.ts";

/** An enumerated problem in one context, [outcomes] each. */
export interface ExactProblem {
  /** log π, normalised. */
  logPolicy: ArrayLike<number>;
  /** log P, unnormalised. */
  logScores: ArrayLike<number>;
  /** log q, normalised; absent on-policy. */
  logProposal?: ArrayLike<number>;
  /** log a, for smoothing. */
  logBase?: ArrayLike<number>;
}

/** The truth about an enumerated problem. */
export interface Exact {
  logZ: number;
  /** log p, or of the smoothed target. */
  logTarget: Float64Array;
  /** D_f(π‖p). */
  divergence: number;
  /** ∇D with respect to the logits of a softmax policy, πₖ·(sₖ − E_π s). */
  gradient: Float64Array;
  /** E_π s(l), the best that a running mean can know. */
  meanScore: number;
  /** E_q of the estimator's one-sample gradient: the gradient itself, where it is unbiased. */
  estimate: Float64Array;
  /** Variance of the one-sample gradient, summed over logits, and of each. */
  variance: number;
  variances: Float64Array;
  /** 1/E_q[(π/q)²]: the share of samples that are effective. */
  efficiency: number;
}

/**
 * Divergence, gradient and the estimator's variance of a softmax policy over an enumerable support, by summing over it.
 *
 * @param options.baseline a number, "none", or "mean" for E_π s itself, which leave-one-out and running means estimate; default none
 * @throws InfiniteDivergenceError where the divergence is infinite; RangeError when a side does not sum to 1
 */
export function exactEstimator(
  problem: ExactProblem,
  options: { divergence: Divergence; baseline?: number | "none" | "mean"; smoothing?: number },
): Exact {
  const { logPolicy, logScores, logProposal = logPolicy } = problem;
  const { divergence, smoothing = 0 } = options;
  const logZ = logSumOf(logScores);
  const logTarget = logTargets({ ...problem, logPartition: logZ }, smoothing);
  const batch = { ...problem, logPartition: logZ };
  const policy = Float64Array.from(Array.from(logPolicy), Math.exp);
  const proposal = Float64Array.from(Array.from(logProposal), Math.exp);
  const { pseudoRewards } = estimator(batch, { divergence, smoothing });
  const scores = pseudoRewards.map((reward) => -reward);
  const meanScore = policy.reduce((sum, p, x) => sum + p * scores[x]!, 0);
  const gradient = policy.map((p, k) => p * (scores[k]! - meanScore));

  const wanted = options.baseline ?? "none";
  const baseline: EstimatorOptions["baseline"] = wanted === "mean" ? boundedScore(meanScore) : wanted;
  const { coefficients } = estimator(batch, { divergence, smoothing, baseline });
  const estimate = new Float64Array(policy.length);
  const squares = new Float64Array(policy.length);
  for (let x = 0; x < policy.length; x++) {
    if (proposal[x] === 0) continue;
    for (let k = 0; k < policy.length; k++) {
      const part = coefficients[x]! * ((x === k ? 1 : 0) - policy[k]!);
      estimate[k]! += proposal[x]! * part;
      squares[k]! += proposal[x]! * part * part;
    }
  }
  const variances = squares.map((square, k) => square - estimate[k]! ** 2);
  return {
    logZ,
    logTarget,
    divergence: exactDivergence(divergence, logPolicy, logTarget),
    gradient,
    meanScore,
    estimate,
    variance: variances.reduce((sum, v) => sum + v, 0),
    variances,
    efficiency: 1 / policy.reduce((sum, p, x) => sum + (p === 0 ? 0 : p * (p / proposal[x]!)), 0),
  };
}
