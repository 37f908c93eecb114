import { type Divergence, forwardKl, jensenShannon, totalVariation } from "@fdiv/divergences";
import { logSumOf } from "./log-space.ts";
import { NoSupportError, type PartitionEstimate } from "./partition.ts";
import { checkNumbers, groupSamples } from "./weights.ts";

/** A figure with its standard error. */
export interface Estimated {
  value: number;
  standardError: number;
}

/** What measuring needs of a batch of samples, [samples] each, in nats. */
export interface MeasureBatch {
  /** log π. */
  logPolicy: ArrayLike<number>;
  /** log P, unnormalised. */
  logScores: ArrayLike<number>;
  /** One estimate of Z a context: without how sure Z is no divergence is known. */
  partition: readonly PartitionEstimate[];
  /** log q, the law that samples were drawn from; absent on-policy. */
  logProposal?: ArrayLike<number>;
  /** Which context each sample belongs to; one context when absent. */
  groups?: ArrayLike<number>;
  /** log a of the base. */
  logBase?: ArrayLike<number>;
}

/** An infinite price stays infinite, however little mass pays it; no mass pays nothing where the price is finite. */
const priced = (logMass: number, price: number): number => {
  if (price === 0) return 0;
  if (!Number.isFinite(price)) return price;
  return Math.sign(price) * Math.exp(logMass + Math.log(Math.abs(price)));
};

/** log of π/q normalised to mean 1 over the batch, contexts counting alike. */
function normalisedLogWeights(batch: MeasureBatch, scales: Float64Array): Float64Array {
  const { logPolicy, logProposal } = batch;
  const logWeights = Float64Array.from(
    scales,
    (scale, i) => Math.log(scale) + (logProposal ? logPolicy[i]! - logProposal[i]! : 0),
  );
  const total = logSumOf(logWeights) - Math.log(scales.length);
  return logWeights.map((w) => w - total);
}

function prepare(what: string, batch: MeasureBatch) {
  const { logPolicy, logScores, logProposal, logBase, partition } = batch;
  const groups = groupSamples(what, logPolicy.length, batch.groups);
  checkNumbers(what, logPolicy.length, { logPolicy, logScores, logProposal, logBase });
  for (let c = 0; c < groups.count; c++) {
    if (groups.sizes[c] === 0) continue;
    const estimate = partition[c];
    if (!estimate) throw new RangeError(`${what}: context ${c} has no estimate of its partition function.`);
    if (!Number.isFinite(estimate.logZ))
      throw new NoSupportError(
        `${what}: no sample of context ${c} had any mass under the target, so its distance is not known.`,
      );
  }
  return { groups, policyLogWeights: normalisedLogWeights(batch, groups.scales) };
}

/**
 * D_f(π‖p) from samples of a proposal, mean over contexts: the mean of (p/q)·φ(l) where π < p and of (π/q)·φ°(−l) elsewhere, so that no
 * exponential overflows; never negative. The weights π/q are self-normalised, those of p normalised by Ẑ, whose own error is part of the
 * standard error.
 *
 * @throws SampleCountError without samples; RangeError on lengths, NaN or a missing Z
 */
export function estimateToTarget(divergence: Divergence, batch: MeasureBatch): Estimated {
  const { groups, policyLogWeights } = prepare("estimateToTarget", batch);
  const { logPolicy, logScores, logProposal = logPolicy, partition } = batch;
  const dual = divergence.dual();
  const samples = logPolicy.length;
  const terms = new Float64Array(samples);
  let policySide = 0;
  const slopes = new Float64Array(groups.count);
  for (let i = 0; i < samples; i++) {
    const context = groups.of[i]!;
    const logTarget = logScores[i]! - partition[context]!.logZ;
    const l = logPolicy[i]! - logTarget;
    const logTargetWeight = logTarget - logProposal[i]! + Math.log(groups.scales[i]!);
    if (l < 0) terms[i] = priced(logTargetWeight, divergence.value(l));
    else {
      terms[i] = priced(policyLogWeights[i]!, dual.value(-l));
      policySide += terms[i]! / samples;
    }
    // dD/d log Z = E_π s(l) − D, of this sample.
    slopes[context]! += (priced(policyLogWeights[i]!, divergence.score(l)) - terms[i]!) / samples;
  }
  const value = terms.reduce((sum, term) => sum + term, 0) / samples;
  let squares = 0;
  for (let i = 0; i < samples; i++)
    squares += (terms[i]! - value - (Math.exp(policyLogWeights[i]!) - 1) * policySide) ** 2;
  let variance = squares / samples / Math.max(1, samples - 1);
  for (let c = 0; c < groups.count; c++)
    if (groups.sizes[c]! > 0 && partition[c]!.standardError > 0)
      variance += (slopes[c]! * partition[c]!.standardError) ** 2;
  return { value, standardError: samples > 1 ? Math.sqrt(variance) : Number.POSITIVE_INFINITY };
}

/** Σ W·g of self-normalised policy weights, and its standard error. */
function policyMean(policyLogWeights: Float64Array, g: (i: number) => number): Estimated {
  const samples = policyLogWeights.length;
  let value = 0;
  for (let i = 0; i < samples; i++) value += priced(policyLogWeights[i]!, g(i)) / samples;
  let squares = 0;
  for (let i = 0; i < samples; i++) squares += (Math.exp(policyLogWeights[i]!) * (g(i) - value)) ** 2;
  const standardError = Math.sqrt(squares / samples / Math.max(1, samples - 1));
  return { value, standardError: samples > 1 ? standardError : Number.POSITIVE_INFINITY };
}

/** E_π g from samples of a proposal, by self-normalised weights: a feature's moment, for instance. */
export function estimateUnderPolicy(
  values: ArrayLike<number>,
  batch: Pick<MeasureBatch, "logPolicy" | "logProposal" | "groups">,
): Estimated {
  const groups = groupSamples("estimateUnderPolicy", values.length, batch.groups);
  checkNumbers("estimateUnderPolicy", values.length, { values, ...{ logPolicy: batch.logPolicy } });
  const weights = normalisedLogWeights({ ...batch, logScores: [], partition: [] }, groups.scales);
  return policyMean(weights, (i) => values[i]!);
}

/** The measures that f-DPG reports, in nats, mean over contexts. */
export interface Measures {
  /** KL(p‖π). */
  forwardKl: Estimated;
  /** KL(π‖p) = E_π[log π − log p]: unlike the other divergences it may fall below 0 by chance. */
  reverseKl: Estimated;
  totalVariation: Estimated;
  /** The papers' sum form, twice the usual. */
  jensenShannon: Estimated;
  /** KL(π‖a), where there is a base. */
  klToBase?: Estimated;
  /** −E_π log π. */
  entropy: Estimated;
}

/**
 * The divergences of a policy from its target, KL to the base, and entropy, from samples of a proposal. KL(π‖p) and KL(π‖a) are plain
 * means of log-ratios: their non-negative forms rest on rare samples where a policy has lost modes.
 *
 * @throws SampleCountError without samples; RangeError on lengths, NaN or a missing Z
 */
export function estimateMeasures(batch: MeasureBatch): Measures {
  const { groups, policyLogWeights } = prepare("estimateMeasures", batch);
  const { logPolicy, logScores, logBase, partition } = batch;
  const reverse = policyMean(
    policyLogWeights,
    (i) => logPolicy[i]! - logScores[i]! + partition[groups.of[i]!]!.logZ,
  );
  const contexts = groups.sizes.reduce((sum, size) => sum + Math.min(1, size), 0);
  let zVariance = 0;
  for (let c = 0; c < groups.count; c++)
    if (groups.sizes[c]! > 0) zVariance += (partition[c]!.standardError / contexts) ** 2;
  return {
    forwardKl: estimateToTarget(forwardKl, batch),
    reverseKl: {
      value: reverse.value,
      standardError: Number.isFinite(reverse.value)
        ? Math.sqrt(reverse.standardError ** 2 + zVariance)
        : Number.NaN,
    },
    totalVariation: estimateToTarget(totalVariation, batch),
    jensenShannon: estimateToTarget(jensenShannon, batch),
    ...(logBase && { klToBase: policyMean(policyLogWeights, (i) => logPolicy[i]! - logBase[i]!) }),
    entropy: policyMean(policyLogWeights, (i) => -logPolicy[i]!),
  };
}
