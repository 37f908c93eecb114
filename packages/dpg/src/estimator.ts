import { type Divergence, largestExponent } from "@fdiv/divergences";
import * as tf from "@tensorflow/tfjs-core";
import { checkZeros, InfiniteDivergenceError } from "./admissibility.ts";
import { boundedScore, leaveOneOut } from "./baseline.ts";
import { logMagnitude } from "./log-magnitude.ts";
import { logAdd } from "./log-space.ts";
import { NoSupportError } from "./partition.ts";
import { SampleCountError } from "./policy.ts";
import { checkNumbers, groupSamples, type WeightStatistics, weightStatistics } from "./weights.ts";

/** What the estimator needs of a batch of samples, [samples] each, in nats. */
export interface EstimatorBatch {
  /** log π, under the policy's present parameters. */
  logPolicy: ArrayLike<number>;
  /** log P, unnormalised; −∞ where the target has no mass. */
  logScores: ArrayLike<number>;
  /** log Z, for all samples or one a context. */
  logPartition: number | ArrayLike<number>;
  /** log q, the law that samples were drawn from; absent on-policy, where it is the policy's. */
  logProposal?: ArrayLike<number>;
  /** Which context each sample belongs to, 0, 1, 2, …; one context when absent. */
  groups?: ArrayLike<number>;
  /** log a of the base, for smoothing. */
  logBase?: ArrayLike<number>;
}

export interface EstimatorOptions {
  divergence: Divergence;
  /** What is subtracted from the score: nothing, the leave-one-out mean, or a number that does not depend on these samples. Default none. */
  baseline?: "none" | "leave-one-out" | number;
  /** ε of (1 − ε)·p + ε·a, approximated in place of p; default 0. */
  smoothing?: number;
}

/** The estimator of one batch. */
export interface Estimator {
  /** cᵢ of ∇D ≈ mean cᵢ·∇log π(xᵢ), [samples]. */
  coefficients: Float64Array;
  /** −s(lᵢ), what a sample earns; a mean over the policy's samples estimates E_π. */
  pseudoRewards: Float64Array;
  /** l = log π − log p. */
  logRatios: Float64Array;
  /** log(π/q) of the samples; 0 on-policy. */
  logWeights: Float64Array;
  weights: WeightStatistics;
  /** Σ(π/q)·s/Σ(π/q), bounded: what a running mean takes in. */
  meanScore: number;
  /** How many coefficients were beyond e⁴⁰ and were cut to it: where this is not 0 the estimate is not unbiased. */
  saturated: number;
}

/** No gradient's square overflows float32 below this. */
const largestCoefficient = Math.exp(largestExponent.tensor);

/**
 * log p of each sample: log P − log Z, or log((1 − ε)·P/Z + ε·a) when smoothed.
 */
export function logTargets(batch: EstimatorBatch, smoothing = 0): Float64Array {
  const { logScores, logPartition, logBase, groups } = batch;
  const logZ = (i: number): number =>
    typeof logPartition === "number" ? logPartition : logPartition[groups ? groups[i]! : 0]!;
  return Float64Array.from({ length: logScores.length }, (_, i) => {
    const z = logZ(i);
    if (!Number.isFinite(z))
      throw new NoSupportError(
        `The partition function of context ${groups ? groups[i] : 0} is not known (log Z = ${z}): no sample of it had any mass under ` +
          "the target. Draw more samples, or from a proposal that meets the target more often.",
      );
    const logTarget = logScores[i]! - z;
    if (smoothing === 0) return logTarget;
    return logAdd(Math.log1p(-smoothing) + logTarget, Math.log(smoothing) + logBase![i]!);
  });
}

function check(batch: EstimatorBatch, { smoothing = 0, baseline = "none" }: EstimatorOptions): void {
  const samples = batch.logPolicy.length;
  const { logPolicy, logScores, logProposal, logBase } = batch;
  checkNumbers("estimator", samples, { logPolicy, logScores, logProposal, logBase });
  if (!(smoothing >= 0 && smoothing < 1))
    throw new RangeError(`estimator: smoothing is ${smoothing}, expected a share of the base in [0, 1).`);
  if (smoothing > 0 && !logBase)
    throw new RangeError("estimator: smoothing mixes the base in, so it needs logBase.");
  if (
    typeof baseline === "number" ? !Number.isFinite(baseline) : !["none", "leave-one-out"].includes(baseline)
  )
    throw new RangeError(`estimator: the baseline is ${baseline}, expected none, leave-one-out or a number.`);
  if (baseline === "leave-one-out" && samples < 2)
    throw new SampleCountError("estimator: leaving one out needs at least two samples.");
  for (const [name, list] of Object.entries({ logPolicy, logProposal }))
    for (let i = 0; i < (list?.length ?? 0); i++)
      if (!Number.isFinite(list![i]!))
        throw new RangeError(
          `estimator: ${name} of sample ${i} is ${list![i]}; its log-probability has no gradient.`,
        );
}

/**
 * The coefficients of ∇D_f(π‖p) = E_π[s(l)·∇log π] = E_q[(π/q)·(s(l) − b)·∇log π], l = log π − log P + log Z
 * (f-DPG, arXiv 2302.08215, theorem 1), the baseline subtracted before weighting so that the estimate is unbiased off-policy too.
 *
 * Weight and score are multiplied by adding their exponents: e^{log p − log q} for forward KL, at any distance of π from both.
 *
 * @throws InfiniteDivergenceError on an outcome that the target rules out when f′(∞) = ∞; NoSupportError when a log Z is not finite;
 *   SampleCountError on an empty batch, or one sample to leave out; RangeError on lengths and NaN
 */
export function estimator(batch: EstimatorBatch, options: EstimatorOptions): Estimator {
  const { divergence, baseline = "none", smoothing = 0 } = options;
  const { logPolicy, logProposal } = batch;
  const samples = logPolicy.length;
  const groups = groupSamples("estimator", samples, batch.groups);
  check(batch, options);
  const target = logTargets(batch, smoothing);
  const logRatios = target.map((logTarget, i) => logPolicy[i]! - logTarget);
  const logWeights = Float64Array.from({ length: samples }, (_, i) =>
    logProposal ? logPolicy[i]! - logProposal[i]! : 0,
  );
  const scores = logRatios.map((l) => divergence.score(l));
  if (scores.includes(Number.POSITIVE_INFINITY)) {
    checkZeros(divergence, true);
    throw new InfiniteDivergenceError(`estimator: ${divergence.name} has an infinite score.`);
  }
  const baselines =
    baseline === "leave-one-out"
      ? leaveOneOut(scores, logWeights, groups.of)
      : new Float64Array(samples).fill(baseline === "none" ? 0 : baseline);

  const magnitude = logMagnitude(divergence);
  let saturated = 0;
  const coefficients = scores.map((score, i) => {
    const l = logRatios[i]!;
    const advantage = score - baselines[i]!;
    // A score of e³⁵⁰ or more, to which no baseline adds anything.
    const beyond = Number.isFinite(l) && divergence.saturated(l) !== 0;
    const exponent = logWeights[i]! + (beyond ? magnitude(l) : Math.log(Math.abs(advantage)));
    let coefficient = Math.sign(advantage) * Math.exp(exponent);
    if (!beyond && logWeights[i] === 0) coefficient = advantage;
    coefficient *= groups.scales[i]!;
    if (Math.abs(coefficient) <= largestCoefficient) return coefficient;
    saturated++;
    return Math.sign(coefficient) * largestCoefficient;
  });
  return {
    coefficients,
    pseudoRewards: scores.map((score) => -score),
    logRatios,
    logWeights,
    weights: weightStatistics(logWeights),
    meanScore: weightedMean(scores.map(boundedScore), logWeights, groups.scales),
    saturated,
  };
}

function weightedMean(values: Float64Array, logWeights: Float64Array, scales: Float64Array): number {
  const max = logWeights.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let sum = 0;
  let total = 0;
  for (let i = 0; i < values.length; i++) {
    const weight = Math.exp(logWeights[i]! - max) * scales[i]!;
    sum += weight * values[i]!;
    total += weight;
  }
  return sum / total;
}

/**
 * The surrogate whose gradient is the estimator: cᵢ·log π(xᵢ), coefficients held constant. Its value means nothing. Per sample: the caller
 * takes the mean.
 *
 * @param policyLogProbs [samples], differentiable
 * @param coefficients [samples], of `estimator`
 * @returns [samples]
 */
export function dpgLoss(policyLogProbs: tf.Tensor1D, coefficients: ArrayLike<number>): tf.Tensor1D {
  if (policyLogProbs.shape.length !== 1 || policyLogProbs.shape[0] !== coefficients.length)
    throw new RangeError(
      `dpgLoss: log-probabilities have shape [${policyLogProbs.shape}], expected [${coefficients.length}], one a coefficient.`,
    );
  return tf.tidy(() => tf.mul(policyLogProbs, tf.tensor1d(Float32Array.from(coefficients))));
}
