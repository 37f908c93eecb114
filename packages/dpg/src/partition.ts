import { logAdd } from "./log-space.ts";
import { checkNumbers, groupSamples } from "./weights.ts";

/** An estimate of a partition function Z = E_q[P/q], in logarithms. */
export interface PartitionEstimate {
  /** log Ẑ; −∞ when no sample had any mass. */
  logZ: number;
  /** Of log Ẑ, by the delta method: the standard error of Ẑ over Ẑ. */
  standardError: number;
  /** 95 % confidence interval of log Z. */
  interval: readonly [low: number, high: number];
  /** (Σw)²/Σw² of w = P/q. */
  effectiveSamples: number;
  samples: number;
}

/** No sample had any mass under the target, so that nothing can be said about its partition function. */
export class NoSupportError extends Error {
  override name = "NoSupportError";
}

/**
 * Sums over draws of w = P/q, which are unbiased for Z whatever q each was drawn from: plain JSON, logarithms but for the counts.
 * Each draw counts λ, which falls with age where the past is forgotten.
 */
export interface PartitionSums {
  /** log Σλw; null stands for −∞, which JSON lacks. */
  logSum: number | null;
  /** log Σλ²w, log Σλ²w². */
  logSum2: number | null;
  logSquares: number | null;
  /** Σλ and Σλ². */
  count: number;
  count2: number;
}

const noDraws: PartitionSums = { logSum: null, logSum2: null, logSquares: null, count: 0, count2: 0 };

const read = (x: number | null): number => x ?? Number.NEGATIVE_INFINITY;
const write = (x: number): number | null => (x === Number.NEGATIVE_INFINITY ? null : x);

/**
 * Adds draws to the sums. Proposals may change between calls: every batch is an unbiased estimate of the same Z, so that sums add up.
 *
 * @param logWeights log P − log q
 * @param decay what earlier draws' counts are multiplied by; 1 forgets nothing
 */
export function addDraws(
  sums: PartitionSums = noDraws,
  logWeights: ArrayLike<number>,
  decay = 1,
): PartitionSums {
  let logSum = read(sums.logSum) + Math.log(decay);
  let logSum2 = read(sums.logSum2) + 2 * Math.log(decay);
  let logSquares = read(sums.logSquares) + 2 * Math.log(decay);
  for (let i = 0; i < logWeights.length; i++) {
    const w = logWeights[i]!;
    logSum = logAdd(logSum, w);
    logSum2 = logAdd(logSum2, w);
    logSquares = logAdd(logSquares, 2 * w);
  }
  return {
    logSum: write(logSum),
    logSum2: write(logSum2),
    logSquares: write(logSquares),
    count: sums.count * decay + logWeights.length,
    count2: sums.count2 * decay ** 2 + logWeights.length,
  };
}

/** 97.5 % quantile of the standard normal. */
const quantile = 1.959963984540054;

/** The estimate that sums amount to; log Ẑ = log Σλw − log Σλ, Var Ẑ = Σλ²(w − Ẑ)²/(Σλ)². */
export function partitionOf(sums: PartitionSums): PartitionEstimate {
  const { count, count2 } = sums;
  const logZ = read(sums.logSum) - Math.log(count);
  if (!Number.isFinite(logZ))
    return {
      logZ: Number.NEGATIVE_INFINITY,
      standardError: Number.POSITIVE_INFINITY,
      interval: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
      effectiveSamples: 0,
      samples: count,
    };
  const squares = Math.exp(read(sums.logSquares) - 2 * logZ);
  const deviations = Math.max(0, squares - 2 * Math.exp(read(sums.logSum2) - logZ) + count2);
  const independent = count ** 2 / count2;
  const variance = (deviations / count ** 2) * (independent / (independent - 1));
  const standardError = independent > 1 ? Math.sqrt(variance) : Number.POSITIVE_INFINITY;
  return {
    logZ,
    standardError,
    interval: [logZ - quantile * standardError, logZ + quantile * standardError],
    effectiveSamples: count ** 2 / squares,
    samples: count,
  };
}

/** An exactly known partition function. */
export const knownPartition = (logZ: number): PartitionEstimate => ({
  logZ,
  standardError: 0,
  interval: [logZ, logZ],
  effectiveSamples: Number.POSITIVE_INFINITY,
  samples: Number.POSITIVE_INFINITY,
});

/**
 * Ẑ = mean of P/q over samples of q, by log-sum-exp, for each context by itself.
 *
 * @param batch.logScores log P, [samples]
 * @param batch.logProposal log q, [samples]
 * @param batch.groups which context each sample belongs to; one context when absent
 * @returns one estimate a context; −∞ with an infinite interval where no sample had mass
 * @throws SampleCountError without samples; RangeError on lengths and NaN
 */
export function estimatePartition(batch: {
  logScores: ArrayLike<number>;
  logProposal: ArrayLike<number>;
  groups?: ArrayLike<number>;
}): PartitionEstimate[] {
  const { logScores, logProposal } = batch;
  const groups = groupSamples("estimatePartition", logScores.length, batch.groups);
  checkNumbers("estimatePartition", logScores.length, { logScores, logProposal });
  const weights = Array.from({ length: groups.count }, (): number[] => []);
  for (let i = 0; i < logScores.length; i++) weights[groups.of[i]!]!.push(logScores[i]! - logProposal[i]!);
  return weights.map((logWeights) => partitionOf(addDraws(undefined, logWeights)));
}
