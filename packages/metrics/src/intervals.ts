import { normalQuantile, studentQuantile } from "./quantiles.ts";
import { splitMix } from "./split-mix.ts";

/** An estimate with its interval. */
export interface Interval {
  value: number;
  low: number;
  high: number;
}

/**
 * Wilson's interval of a proportion (Wilson 1927); right at 0 and n, where the usual one has no width.
 *
 * @throws RangeError unless 0 ≤ successes ≤ n and n > 0
 */
export function wilsonInterval(successes: number, n: number, level = 0.95): Interval {
  if (!(n > 0 && successes >= 0 && successes <= n))
    throw new RangeError(`wilsonInterval: ${successes} of ${n} is no proportion.`);
  const z = normalQuantile((1 + level) / 2);
  const p = successes / n;
  const middle = (p + z ** 2 / (2 * n)) / (1 + z ** 2 / n);
  const half = (z / (1 + z ** 2 / n)) * Math.sqrt((p * (1 - p)) / n + z ** 2 / (4 * n ** 2));
  // Exactly 0 and 1 where nothing or everything succeeds; the formula would round beside them.
  return {
    value: p,
    low: successes === 0 ? 0 : Math.max(0, middle - half),
    high: successes === n ? 1 : Math.min(1, middle + half),
  };
}

/** Student's interval of a mean; without width information, for one value, it is unbounded. */
export function meanInterval(values: readonly number[], level = 0.95): Interval {
  const n = values.length;
  if (n === 0) throw new RangeError("meanInterval: there are no values.");
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n === 1) return { value: mean, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const half = studentQuantile((1 + level) / 2, n - 1) * Math.sqrt(variance / n);
  return { value: mean, low: mean - half, high: mean + half };
}

/**
 * Student's interval of a mean whose values come in clusters, such as several samples of each prompt: values of one cluster may depend on
 * each other, and the degrees of freedom are those of the clusters (the cluster-robust variance, Liang & Zeger 1986). Where there
 * is one cluster only, its values are taken to be independent.
 *
 * @throws RangeError without values, or when the two lists differ in length
 */
export function clusteredInterval(
  values: readonly number[],
  clusters: readonly (string | number)[],
  level = 0.95,
): Interval {
  const n = values.length;
  if (n !== clusters.length)
    throw new RangeError(`clusteredInterval: ${n} values and ${clusters.length} clusters.`);
  const count = new Set(clusters).size;
  if (count <= 1) return meanInterval(values, level);
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const sums = new Map<string | number, number>();
  for (const [i, value] of values.entries())
    sums.set(clusters[i]!, (sums.get(clusters[i]!) ?? 0) + value - mean);
  let squares = 0;
  for (const sum of sums.values()) squares += sum ** 2;
  const error = Math.sqrt((squares * count) / (count - 1)) / n;
  const half = studentQuantile((1 + level) / 2, count - 1) * error;
  return { value: mean, low: mean - half, high: mean + half };
}

/** A percentile bootstrap interval of any statistic; the same seed gives the same interval. */
export function bootstrapInterval<T>(
  values: readonly T[],
  statistic: (sample: T[]) => number,
  { seed = 0, resamples = 1000, level = 0.95 } = {},
): Interval {
  if (values.length === 0) throw new RangeError("bootstrapInterval: there are no values.");
  const next = splitMix(seed);
  const drawn = Array.from({ length: resamples }, () =>
    statistic(Array.from({ length: values.length }, () => values[Math.floor(next() * values.length)]!)),
  ).sort((a, b) => a - b);
  const at = (share: number): number => drawn[Math.min(resamples - 1, Math.floor(share * resamples))]!;
  return { value: statistic([...values]), low: at((1 - level) / 2), high: at((1 + level) / 2) };
}

/** The difference of two proportions on the same items, b − a, with the interval of the paired difference's mean. */
export function pairedDifference(a: readonly boolean[], b: readonly boolean[], level = 0.95): Interval {
  if (a.length !== b.length) throw new RangeError(`pairedDifference: ${a.length} and ${b.length} items.`);
  return meanInterval(
    a.map((before, i) => Number(b[i]) - Number(before)),
    level,
  );
}

/** (Σw)²/Σw² of importance weights given by their logarithms. */
export function effectiveSampleSize(logWeights: readonly number[]): number {
  const top = Math.max(...logWeights);
  const weights = logWeights.map((logWeight) => Math.exp(logWeight - top));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return sum ** 2 / weights.reduce((total, weight) => total + weight ** 2, 0);
}
