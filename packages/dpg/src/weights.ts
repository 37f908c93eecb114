import { logSumOf } from "./log-space.ts";
import { SampleCountError } from "./policy.ts";

/** How evenly importance weights are spread. */
export interface WeightStatistics {
  /** (Σw)²/Σw². */
  effectiveSamples: number;
  /** The largest weight's share of all. */
  largestShare: number;
}

/** Statistics of weights given by their logarithms; both 0 when every weight is 0. */
export function weightStatistics(logWeights: ArrayLike<number>): WeightStatistics {
  const total = logSumOf(logWeights);
  if (total === Number.NEGATIVE_INFINITY) return { effectiveSamples: 0, largestShare: 0 };
  let squares = 0;
  let largest = 0;
  for (let i = 0; i < logWeights.length; i++) {
    const share = Math.exp(logWeights[i]! - total);
    squares += share * share;
    if (share > largest) largest = share;
  }
  return { effectiveSamples: 1 / squares, largestShare: largest };
}

/** Which context each sample belongs to, 0 … count − 1. */
export interface Groups {
  of: ArrayLike<number>;
  count: number;
  sizes: Float64Array;
  /** n/(C·n_c): a mean over samples so weighted is the mean over contexts of each one's mean; 1 where groups are equal. */
  scales: Float64Array;
}

/** Reads which group each of the samples is in; all in one where nothing is said. */
export function groupSamples(what: string, samples: number, of?: ArrayLike<number>): Groups {
  if (samples === 0) throw new SampleCountError(`${what}: there are no samples.`);
  const ids = of ?? new Int32Array(samples);
  if (ids.length !== samples)
    throw new RangeError(`${what}: groups of ${ids.length} samples, but there are ${samples}.`);
  let count = 0;
  for (let i = 0; i < samples; i++) {
    const id = ids[i]!;
    if (!Number.isSafeInteger(id) || id < 0 || id >= 1e7)
      throw new RangeError(`${what}: sample ${i} is in group ${id}, expected 0, 1, 2, ….`);
    if (id >= count) count = id + 1;
  }
  const sizes = new Float64Array(count);
  for (let i = 0; i < samples; i++) sizes[ids[i]!]!++;
  const present = sizes.reduce((sum, size) => sum + Math.min(1, size), 0);
  const scales = Float64Array.from({ length: samples }, (_, i) => samples / (present * sizes[ids[i]!]!));
  return { of: ids, count, sizes, scales };
}

/** Makes sure that lists have one number a sample, none NaN. */
export function checkNumbers(
  what: string,
  samples: number,
  lists: Record<string, ArrayLike<number> | undefined>,
) {
  for (const [name, list] of Object.entries(lists)) {
    if (!list) continue;
    if (list.length !== samples)
      throw new RangeError(`${what}: ${name} has ${list.length} numbers for ${samples} samples.`);
    for (let i = 0; i < samples; i++)
      if (Number.isNaN(list[i]!)) throw new RangeError(`${what}: ${name} of sample ${i} is NaN.`);
  }
}
