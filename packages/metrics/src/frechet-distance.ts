import { checkPair, type FeatureSet, rows } from "./feature-set.ts";
import { symmetricEigen } from "./symmetric-eigen.ts";

/** A Gaussian by its mean [d] and covariance [d × d] in row order. */
export interface GaussianMoments {
  mean: ArrayLike<number>;
  covariance: ArrayLike<number>;
}

/** Mean and unbiased covariance of features. */
export function gaussianMoments({ values, count, dimensions: d }: FeatureSet): GaussianMoments {
  if (count < 2) throw new RangeError(`gaussianMoments: ${count} samples; a covariance takes two or more.`);
  const mean = new Float64Array(d);
  for (let i = 0; i < count; i++) for (let j = 0; j < d; j++) mean[j] = mean[j]! + values[i * d + j]! / count;
  const covariance = new Float64Array(d * d);
  const centred = new Float64Array(d);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < d; j++) centred[j] = values[i * d + j]! - mean[j]!;
    for (let j = 0; j < d; j++)
      for (let k = 0; k <= j; k++)
        covariance[j * d + k] = covariance[j * d + k]! + (centred[j]! * centred[k]!) / (count - 1);
  }
  for (let j = 0; j < d; j++) for (let k = 0; k < j; k++) covariance[k * d + j] = covariance[j * d + k]!;
  return { mean, covariance };
}

function multiply(a: ArrayLike<number>, b: ArrayLike<number>, n: number): Float64Array {
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let k = 0; k < n; k++) {
      const x = a[i * n + k]!;
      for (let j = 0; j < n; j++) out[i * n + j] = out[i * n + j]! + x * b[k * n + j]!;
    }
  return out;
}

/** The square root of a positive semi-definite matrix; eigenvalues that rounding has put below 0 count as 0. */
function squareRoot(matrix: ArrayLike<number>, n: number): Float64Array {
  const { values, vectors } = symmetricEigen(matrix, n);
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let k = 0; k < n; k++)
        sum += vectors[i * n + k]! * Math.sqrt(Math.max(0, values[k]!)) * vectors[j * n + k]!;
      out[i * n + j] = sum;
    }
  return out;
}

/**
 * The squared Fréchet (2-Wasserstein) distance of two Gaussians, ‖m₁ − m₂‖² + tr(C₁ + C₂ − 2(√C₁·C₂·√C₁)^{1/2}), in float64 (Dowson & Landau 1982;
 * as a measure of generators Heusel et al. 2017, https://arxiv.org/abs/1706.08500). On other features than Inception's it is no FID.
 *
 * @throws RangeError on sizes
 */
export function gaussianFrechetDistance(a: GaussianMoments, b: GaussianMoments): number {
  const d = a.mean.length;
  if (b.mean.length !== d || a.covariance.length !== d * d || b.covariance.length !== d * d)
    throw new RangeError(
      `gaussianFrechetDistance: means of ${d} and ${b.mean.length} numbers, covariances of ${a.covariance.length} and ${b.covariance.length}.`,
    );
  const root = squareRoot(a.covariance, d);
  const inner = multiply(multiply(root, b.covariance, d), root, d);
  for (let i = 0; i < d; i++)
    for (let j = 0; j < i; j++)
      inner[i * d + j] = inner[j * d + i] = (inner[i * d + j]! + inner[j * d + i]!) / 2;
  let distance = 0;
  for (const value of symmetricEigen(inner, d).values) distance -= 2 * Math.sqrt(Math.max(0, value));
  for (let i = 0; i < d; i++)
    distance += (a.mean[i]! - b.mean[i]!) ** 2 + a.covariance[i * d + i]! + b.covariance[i * d + i]!;
  return Math.max(0, distance);
}

/** A distance with what is needed to read it. */
export interface SampleDistance {
  value: number;
  samples: { real: number; generated: number };
  /** The same distance between two halves of the real samples: what finite samples of one law measure. */
  floor: number;
}

/**
 * The squared Fréchet distance of two sets of features, with its real-against-real floor: it is biased upwards with few samples, so only numbers of equal counts compare.
 *
 * @throws RangeError with fewer than four real or two generated samples, or features that are not finite
 */
export function frechetDistance(real: FeatureSet, generated: FeatureSet): SampleDistance {
  checkPair("frechetDistance", real, generated, 2);
  if (real.count < 4)
    throw new RangeError(`frechetDistance: ${real.count} real samples; the floor takes four or more.`);
  const half = Math.floor(real.count / 2);
  return {
    value: gaussianFrechetDistance(gaussianMoments(real), gaussianMoments(generated)),
    samples: { real: real.count, generated: generated.count },
    floor: gaussianFrechetDistance(
      gaussianMoments(rows(real, 0, half)),
      gaussianMoments(rows(real, half, real.count)),
    ),
  };
}
