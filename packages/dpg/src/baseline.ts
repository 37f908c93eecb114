/** What is subtracted from scores to lower the variance; each leaves the estimator unbiased. */
export type BaselineKind = "none" | "running-mean" | "leave-one-out";

/**
 * A score beyond this enters a baseline as this: any function of other samples is unbiased, and one score of e²⁰⁰ would make the
 * baseline useless to all others.
 */
const largest = 1e4;

export const boundedScore = (score: number): number => Math.max(-largest, Math.min(largest, score));

/**
 * For each sample the mean score under the policy, estimated from the others of its context by self-normalised weights; from those of
 * other contexts for the only sample of its own.
 *
 * @param groups which context each sample belongs to
 */
export function leaveOneOut(
  scores: ArrayLike<number>,
  logWeights: ArrayLike<number>,
  groups: ArrayLike<number>,
): Float64Array {
  const members = new Map<number, number[]>();
  for (let i = 0; i < scores.length; i++) {
    const known = members.get(groups[i]!);
    if (known) known.push(i);
    else members.set(groups[i]!, [i]);
  }
  const baselines = new Float64Array(scores.length);
  const everyone = Array.from({ length: scores.length }, (_, i) => i);
  let overall: Float64Array | undefined;
  for (const group of members.values()) {
    if (group.length > 1) {
      const found = meansOfOthers(group, scores, logWeights);
      for (const [k, i] of group.entries()) baselines[i] = found[k]!;
    } else {
      overall ??= meansOfOthers(everyone, scores, logWeights);
      baselines[group[0]!] = overall[group[0]!]!;
    }
  }
  return baselines;
}

/** Sums before and sums after each: a total less one's own would cancel to nothing where one weight is most of it. */
function meansOfOthers(
  members: readonly number[],
  scores: ArrayLike<number>,
  logWeights: ArrayLike<number>,
): Float64Array {
  const count = members.length;
  let max = Number.NEGATIVE_INFINITY;
  for (const i of members) if (logWeights[i]! > max) max = logWeights[i]!;
  const weights = members.map((i) => Math.exp(logWeights[i]! - max));
  const weighted = members.map((i, k) => weights[k]! * boundedScore(scores[i]!));
  const before = [0, 0];
  const sums = Float64Array.from({ length: 2 * count }, () => 0);
  for (let k = 0; k < count; k++) {
    sums[2 * k] = before[0]!;
    sums[2 * k + 1] = before[1]!;
    before[0]! += weights[k]!;
    before[1]! += weighted[k]!;
  }
  const after = [0, 0];
  const means = new Float64Array(count);
  for (let k = count - 1; k >= 0; k--) {
    const total = sums[2 * k]! + after[0]!;
    if (total > 0) means[k] = (sums[2 * k + 1]! + after[1]!) / total;
    after[0]! += weights[k]!;
    after[1]! += weighted[k]!;
  }
  return means;
}

/** A mean over past batches, plain JSON: Σλ·mean and Σλ. */
export interface RunningMean {
  sum: number;
  weight: number;
}

/** The baseline that past batches give; 0 before the first. */
export const runningValue = ({ sum, weight }: RunningMean): number => (weight > 0 ? sum / weight : 0);

/** Takes a batch's mean score in, once its coefficients have been computed; earlier ones count `decay` as much as before. */
export const addToRunning = (mean: RunningMean, score: number, decay = 0.9): RunningMean => ({
  sum: mean.sum * decay + boundedScore(score),
  weight: mean.weight * decay + 1,
});
