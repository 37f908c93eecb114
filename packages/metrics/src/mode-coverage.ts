import type { FeatureSet } from "./feature-set.ts";

export interface ClassHistogram {
  counts: number[];
  /** Classes that hold at least `least` times their share of the reference. */
  covered: number;
  /** KL(generated‖reference) of the class shares, in nats; infinite where the reference lacks a class that was generated. */
  divergence: number;
  samples: number;
}

/**
 * How generated classes are distributed, against the shares that they should have.
 *
 * @param labels of the generated samples, as a classifier sees them
 * @param reference counts or shares by class
 * @param options.least the part of its share from which a class counts as covered; default .1
 * @throws RangeError on labels that are no class, or a reference without mass
 */
export function classHistogram(
  labels: ArrayLike<number>,
  reference: readonly number[],
  { least = 0.1 } = {},
): ClassHistogram {
  const total = reference.reduce((sum, count) => sum + count, 0);
  if (!(total > 0) || !reference.every((count) => count >= 0))
    throw new RangeError(`classHistogram: the reference [${reference}] is no distribution.`);
  if (labels.length === 0) throw new RangeError("classHistogram: there are no samples.");
  const counts = new Array<number>(reference.length).fill(0);
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    if (!(label in counts))
      throw new RangeError(`classHistogram: sample ${i} has the class ${label} of ${reference.length}.`);
    counts[label] = counts[label]! + 1;
  }
  let divergence = 0;
  let covered = 0;
  counts.forEach((count, i) => {
    const [share, due] = [count / labels.length, reference[i]! / total];
    if (share > 0) divergence += share * Math.log(share / due);
    if (due > 0 && share >= least * due) covered++;
  });
  return { counts, covered, divergence, samples: labels.length };
}

/** A mode of a mixture with its precision matrix's metric: one deviation for all axes. */
export interface Mode {
  mean: readonly number[];
  deviation: number;
  /** Relative; default 1. */
  weight?: number;
}

export interface ModeCoverage {
  /** Share of samples nearest to each mode and within its reach. */
  shares: number[];
  /** Share of samples beyond every mode's reach. */
  off: number;
  /** Modes that hold at least a tenth of their weight. */
  covered: number;
  /** KL(shares‖weights) of the samples on modes, in nats. */
  divergence: number;
  samples: number;
}

/**
 * Which modes of a mixture samples are on: each belongs to the mode with the nearest mean in deviations, if that is at most `reach` away.
 *
 * @param options.reach default 4; a mixture's own samples lie beyond it with probability e^{−8} in two dimensions
 * @throws RangeError on sizes
 */
export function modeCoverage(samples: FeatureSet, modes: readonly Mode[], { reach = 4 } = {}): ModeCoverage {
  const { values, count, dimensions: d } = samples;
  if (count === 0 || modes.length === 0)
    throw new RangeError(`modeCoverage: ${count} samples and ${modes.length} modes.`);
  modes.forEach(({ mean, deviation }, i) => {
    if (mean.length !== d || !(deviation > 0))
      throw new RangeError(
        `modeCoverage: mode ${i} has ${mean.length} coordinates and deviation ${deviation}, samples ${d} coordinates.`,
      );
  });
  const counts = new Array<number>(modes.length).fill(0);
  let off = 0;
  for (let i = 0; i < count; i++) {
    let [best, at] = [Number.POSITIVE_INFINITY, -1];
    modes.forEach(({ mean, deviation }, k) => {
      const distance =
        Math.sqrt(mean.reduce((sum, m, j) => sum + (values[i * d + j]! - m) ** 2, 0)) / deviation;
      if (distance < best) [best, at] = [distance, k];
    });
    if (best <= reach) counts[at] = counts[at]! + 1;
    else off++;
  }
  const total = modes.reduce((sum, { weight = 1 }) => sum + weight, 0);
  const on = count - off;
  let [divergence, covered] = [0, 0];
  counts.forEach((own, k) => {
    const due = (modes[k]!.weight ?? 1) / total;
    if (own > 0) divergence += (own / on) * Math.log(own / on / due);
    if (own / count >= 0.1 * due) covered++;
  });
  return { shares: counts.map((own) => own / count), off: off / count, covered, divergence, samples: count };
}
