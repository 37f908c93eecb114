import { logSumExp, type Random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Denoiser } from "./denoiser.ts";
import { type Eigen, symmetricEigen } from "./eigen.ts";

export interface MixtureComponent {
  /** Relative; components' weights are normalised. Default 1. */
  weight?: number;
  mean: readonly number[];
  /** One variance for all axes, one an axis, or the full matrix. */
  covariance: number | readonly number[] | readonly (readonly number[])[];
}

/** A Gaussian mixture with its exact density, score and posterior mean at every noise level. */
export interface GaussianMixture extends Denoiser {
  readonly dimensions: number;
  readonly components: readonly {
    weight: number;
    mean: readonly number[];
    covariance: readonly (readonly number[])[];
  }[];
  /** E[x₀ | x] at noise level σ, [batch, d]; with int32 labels [batch] that of one component, −1 for the mixture. */
  denoise(x: tf.Tensor, sigma: tf.Tensor1D, labels?: tf.Tensor): tf.Tensor;
  /** log p(x; σ) of x [batch, d], differentiable with respect to x; σ may be 0. */
  logDensity(x: tf.Tensor, sigma: tf.Tensor1D): tf.Tensor1D;
  /** ∇ log p(x; σ), [batch, d]. */
  score(x: tf.Tensor, sigma: tf.Tensor1D): tf.Tensor;
  /** The same of one point in float64. */
  logDensityAt(x: readonly number[], sigma?: number): number;
  scoreAt(x: readonly number[], sigma?: number): number[];
  /** Independent draws, [count, d] in row order, and the component of each. */
  sample(random: Random, count: number): { values: Float32Array; labels: Int32Array };
}

interface Prepared extends Eigen {
  logWeight: number;
  mean: readonly number[];
}

function fullCovariance(given: MixtureComponent["covariance"], d: number, which: number): number[][] {
  const rows =
    typeof given === "number"
      ? Array.from({ length: d }, (_, i) => Array.from({ length: d }, (__, j) => (i === j ? given : 0)))
      : given.map((row, i) =>
          typeof row === "number" ? Array.from({ length: d }, (_, j) => (i === j ? row : 0)) : [...row],
        );
  const symmetric = rows.every(
    (row, i) => row.length === d && row.every((x, j) => Math.abs(x - (rows[j]?.[i] ?? Number.NaN)) <= 1e-12),
  );
  if (rows.length !== d || !symmetric)
    throw new RangeError(
      `gaussianMixture: the covariance of component ${which} is no symmetric ${d} × ${d} matrix.`,
    );
  return rows;
}

function prepare(components: readonly MixtureComponent[]) {
  const d = components[0]?.mean.length ?? 0;
  if (d === 0) throw new RangeError("gaussianMixture: there is no component with a mean.");
  const total = components.reduce((sum, { weight = 1 }) => sum + weight, 0);
  return components.map(({ weight = 1, mean, covariance }, i) => {
    if (mean.length !== d || !mean.every(Number.isFinite))
      throw new RangeError(
        `gaussianMixture: the mean of component ${i} is [${mean}], expected ${d} finite numbers.`,
      );
    if (!(weight > 0 && weight < Number.POSITIVE_INFINITY))
      throw new RangeError(
        `gaussianMixture: component ${i} has the weight ${weight}, expected a positive number.`,
      );
    const full = fullCovariance(covariance, d, i);
    const eigen = symmetricEigen(full);
    if (!eigen.values.every((value) => value > 0))
      throw new RangeError(
        `gaussianMixture: the covariance of component ${i} has the eigenvalues ${eigen.values}; all must be positive.`,
      );
    const share = weight / total;
    return {
      public: { weight: share, mean: [...mean], covariance: full },
      prepared: { ...eigen, mean: [...mean], logWeight: Math.log(share) },
    };
  });
}

const matrix = (rows: readonly (readonly number[])[]): tf.Tensor2D => tf.tensor2d(rows as number[][]);

/** log w + log N(x; m, Σ + σ²) of one component and its posterior mean's shift E[x₀|x] − m, by Σ's eigenvectors. */
function part({ logWeight, mean, values, vectors }: Prepared, x: tf.Tensor, sigma: tf.Tensor1D) {
  const turned = tf.matMul(tf.sub(x, tf.tensor1d([...mean])), tf.transpose(matrix(vectors)));
  const spread = tf.add(tf.reshape(tf.square(sigma), [-1, 1]), tf.tensor2d([values]));
  const exponent = tf.sum(tf.add(tf.div(tf.square(turned), spread), tf.log(spread)), 1);
  const logMass = tf.sub(logWeight - (mean.length / 2) * Math.log(2 * Math.PI), tf.mul(0.5, exponent));
  const posterior = () =>
    tf.add(
      tf.matMul(tf.div(tf.mul(turned, tf.tensor2d([values])), spread), matrix(vectors)),
      tf.tensor1d([...mean]),
    );
  const score = () => tf.neg(tf.matMul(tf.div(turned, spread), matrix(vectors)));
  return { logMass, posterior, score };
}

/** The same in float64 at one point. */
function partAt({ logWeight, mean, values, vectors }: Prepared, x: readonly number[], sigma: number) {
  const turned = vectors.map((vector) => vector.reduce((sum, u, i) => sum + u * (x[i]! - mean[i]!), 0));
  const spread = values.map((value) => value + sigma ** 2);
  const exponent = turned.reduce(
    (sum, y, j) => sum + y ** 2 / spread[j]! + Math.log(2 * Math.PI * spread[j]!),
    0,
  );
  const score = mean.map(
    (_, i) => -turned.reduce((sum, y, j) => sum + (y / spread[j]!) * vectors[j]![i]!, 0),
  );
  return { logMass: logWeight - exponent / 2, score };
}

/**
 * Σₖ wₖ N(mₖ, Σₖ): at noise level σ each covariance is Σₖ + σ², so density, score and posterior mean D(x; σ) = Σₖ rₖ(x)·(mₖ + Σₖ(Σₖ + σ²)⁻¹(x − mₖ)) are exact;
 * a teacher, and a judge of generators.
 *
 * @throws RangeError when a weight or an eigenvalue is not positive, or sizes differ
 */
export function gaussianMixture(components: readonly MixtureComponent[]): GaussianMixture {
  const made = prepare(components);
  const parts = made.map(({ prepared }) => prepared);
  const d = parts[0]!.mean.length;
  const checkX = (x: tf.Tensor) => {
    if (x.rank !== 2 || x.shape[1] !== d)
      throw new RangeError(`gaussianMixture: x has shape [${x.shape}], expected [batch, ${d}].`);
  };
  /** Responsibilities-weighted sum of what each component says; labels put all weight on one. */
  const blend = (
    x: tf.Tensor,
    sigma: tf.Tensor1D,
    of: "posterior" | "score",
    labels?: tf.Tensor,
  ): tf.Tensor => {
    checkX(x);
    return tf.tidy(() => {
      const all = parts.map((component) => part(component, x, sigma));
      const logMass = tf.stack(
        all.map((one) => one.logMass),
        1,
      );
      const responsibilities = tf.softmax(
        labels ? tf.add(logMass, onlyLabelled(labels, parts.length)) : logMass,
      );
      const values = tf.stack(
        all.map((one) => one[of]()),
        1,
      );
      return tf.sum(tf.mul(tf.expandDims(responsibilities, 2), values), 1);
    });
  };
  const at = (x: readonly number[], sigma: number) => {
    if (x.length !== d)
      throw new RangeError(`gaussianMixture: a point of ${x.length} numbers, expected ${d}.`);
    const all = parts.map((component) => partAt(component, x, sigma));
    const top = Math.max(...all.map(({ logMass }) => logMass));
    const masses = all.map(({ logMass }) => Math.exp(logMass - top));
    const total = masses.reduce((sum, mass) => sum + mass, 0);
    return { all, masses, total, logDensity: top + Math.log(total) };
  };
  return {
    dimensions: d,
    components: made.map((one) => one.public),
    denoise: (x, sigma, labels) => blend(x, sigma, "posterior", labels),
    score: (x, sigma) => blend(x, sigma, "score"),
    logDensity(x, sigma) {
      checkX(x);
      return tf.tidy(() =>
        logSumExp(
          tf.stack(
            parts.map((component) => part(component, x, sigma).logMass),
            1,
          ),
        ),
      ) as tf.Tensor1D;
    },
    logDensityAt: (x, sigma = 0) => at(x, sigma).logDensity,
    scoreAt(x, sigma = 0) {
      const { all, masses, total } = at(x, sigma);
      return x.map((_, i) => all.reduce((sum, { score }, k) => sum + (masses[k]! / total) * score[i]!, 0));
    },
    sample: (random, count) => draw(parts, random, count),
  };
}

/** 0 for the component that an example's label names and for every one where it is −1, else −10⁹; [batch, components]. */
function onlyLabelled(labels: tf.Tensor, components: number): tf.Tensor {
  const one = tf.oneHot(
    tf.maximum(tf.cast(labels, "int32"), tf.scalar(0, "int32")) as tf.Tensor1D,
    components,
  );
  const open = tf.reshape(tf.cast(tf.less(labels, 0), "float32"), [-1, 1]);
  return tf.mul(1e9, tf.sub(tf.maximum(tf.cast(one, "float32"), open), 1));
}

function draw(
  parts: readonly Prepared[],
  random: Random,
  count: number,
): { values: Float32Array; labels: Int32Array } {
  const d = parts[0]!.mean.length;
  const uniform = random.uniform(count);
  const normal = random.normal(count * d);
  const labels = new Int32Array(count);
  const values = new Float32Array(count * d);
  for (let n = 0; n < count; n++) {
    let left = uniform[n]!;
    let k = 0;
    while (k < parts.length - 1 && left >= Math.exp(parts[k]!.logWeight))
      left -= Math.exp(parts[k++]!.logWeight);
    labels[n] = k;
    const { mean, values: variances, vectors } = parts[k]!;
    for (let i = 0; i < d; i++)
      values[n * d + i] = variances.reduce(
        (sum, variance, j) => sum + Math.sqrt(variance) * normal[n * d + j]! * vectors[j]![i]!,
        mean[i]!,
      );
  }
  return { values, labels };
}

/** One Gaussian N(mean, covariance): the mixture of one; in one dimension D(x; σ) = (σ²m + v·x)/(v + σ²). */
export function gaussian(
  mean: readonly number[],
  covariance: MixtureComponent["covariance"],
): GaussianMixture {
  return gaussianMixture([{ mean, covariance }]);
}
