import { checkPair, type FeatureSet, rows } from "./feature-set.ts";

function squaredDistance(a: FeatureSet, i: number, b: FeatureSet, j: number): number {
  const d = a.dimensions;
  let sum = 0;
  for (let k = 0; k < d; k++) {
    const difference = a.values[i * d + k]! - b.values[j * d + k]!;
    sum += difference * difference;
  }
  return sum;
}

/** Each row's squared distance to its k-th nearest other row. */
function radii(set: FeatureSet, k: number): Float64Array {
  const out = new Float64Array(set.count);
  const distances = new Float64Array(set.count - 1);
  for (let i = 0; i < set.count; i++) {
    for (let j = 0, at = 0; j < set.count; j++)
      if (j !== i) distances[at++] = squaredDistance(set, i, set, j);
    out[i] = distances.slice().sort()[k - 1]!;
  }
  return out;
}

export interface NeighbourScores {
  /** Share of generated samples within a real one's k-th neighbour (Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991). */
  precision: number;
  /** Share of real samples within a generated one's. */
  recall: number;
  /** Mean over generated samples of the real balls around them, over k (Naeem et al. 2020, https://arxiv.org/abs/2002.09797); about 1 for equal laws. */
  density: number;
  /** Share of real samples whose ball holds a generated one. */
  coverage: number;
}

function scores(real: FeatureSet, generated: FeatureSet, k: number): NeighbourScores {
  const realRadii = radii(real, k);
  const generatedRadii = radii(generated, k);
  const covered = new Uint8Array(real.count);
  const recalled = new Uint8Array(real.count);
  let [precise, balls] = [0, 0];
  for (let j = 0; j < generated.count; j++) {
    let within = 0;
    for (let i = 0; i < real.count; i++) {
      const distance = squaredDistance(real, i, generated, j);
      if (distance <= realRadii[i]!) {
        within++;
        covered[i] = 1;
      }
      if (distance <= generatedRadii[j]!) recalled[i] = 1;
    }
    balls += within;
    if (within > 0) precise++;
  }
  const share = (flags: Uint8Array) => flags.reduce((sum, flag) => sum + flag, 0) / flags.length;
  return {
    precision: precise / generated.count,
    recall: share(recalled),
    density: balls / (k * generated.count),
    coverage: share(covered),
  };
}

export interface NeighbourCoverage extends NeighbourScores {
  samples: { real: number; generated: number };
  k: number;
  /** The same between two halves of the real samples: what a perfect generator of that many samples reaches. */
  floor: NeighbourScores;
}

/**
 * Precision, recall, density and coverage by k nearest neighbours, with what real samples score against real ones. Time grows with the product of the counts.
 *
 * @param options.k default 5
 * @throws RangeError with fewer than 2(k + 1) real or k + 1 generated samples
 */
export function neighbourCoverage(
  real: FeatureSet,
  generated: FeatureSet,
  { k = 5 } = {},
): NeighbourCoverage {
  if (!Number.isSafeInteger(k) || k < 1)
    throw new RangeError(`neighbourCoverage: k is ${k}, expected a positive integer.`);
  checkPair("neighbourCoverage", real, generated, k + 1);
  if (real.count < 2 * (k + 1))
    throw new RangeError(
      `neighbourCoverage: ${real.count} real samples; the floor takes ${2 * (k + 1)} or more with k = ${k}.`,
    );
  const half = Math.floor(real.count / 2);
  return {
    ...scores(real, generated, k),
    samples: { real: real.count, generated: generated.count },
    k,
    floor: scores(rows(real, 0, half), rows(real, half, real.count), k),
  };
}
