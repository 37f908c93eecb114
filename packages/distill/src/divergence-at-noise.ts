import type { Divergence } from "@fdiv/divergences";
import type { GaussianMixture } from "./gaussian-mixture.ts";

export interface DivergenceAtNoiseOptions {
  /** σ > 0: how much noise both laws get. */
  sigma: number;
  /** Grid points a σ along each axis; default 3. */
  resolution?: number;
}

const mostPoints = 400_000;

/** The box that holds all but e^{−18} of both laws, by axis. */
function boxOf(
  samples: readonly (readonly number[])[],
  { components, dimensions }: GaussianMixture,
  sigma: number,
): [number, number][] {
  return Array.from({ length: dimensions }, (_, axis) => {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    const hold = (centre: number, deviation: number) => {
      low = Math.min(low, centre - 6 * deviation);
      high = Math.max(high, centre + 6 * deviation);
    };
    for (const sample of samples) hold(sample[axis]!, sigma);
    for (const { mean, covariance } of components)
      hold(mean[axis]!, Math.sqrt(covariance[axis]![axis]! + sigma ** 2));
    return [low, high];
  });
}

/** log of the mean over samples of N(x; sample, σ²). */
function logKernelMean(x: readonly number[], samples: readonly (readonly number[])[], sigma: number): number {
  const exponents = new Float64Array(samples.length);
  let top = Number.NEGATIVE_INFINITY;
  samples.forEach((sample, i) => {
    let square = 0;
    for (let axis = 0; axis < x.length; axis++) square += (x[axis]! - sample[axis]!) ** 2;
    exponents[i] = -square / (2 * sigma ** 2);
    if (exponents[i]! > top) top = exponents[i]!;
  });
  let sum = 0;
  // Beyond that far a sample adds less than rounding does.
  for (const exponent of exponents) if (exponent > top - 40) sum += Math.exp(exponent - top);
  return top + Math.log(sum / samples.length) - (x.length / 2) * Math.log(2 * Math.PI * sigma ** 2);
}

/**
 * D_f(q_σ‖p_σ) of each divergence between a generator's samples and a mixture at noise level σ, by one quadrature in float64: with noise, the samples' law is the mixture of a Gaussian around each, whose
 * density is known. With few samples it is biased upwards; what as many samples of the teacher score is the floor to read it by.
 *
 * @param samples rows of 1 or 2 coordinates
 * @throws RangeError beyond two dimensions, without samples, or when the grid would be beyond reason
 */
export function divergencesAtNoise(
  divergences: readonly Divergence[],
  samples: readonly (readonly number[])[],
  teacher: GaussianMixture,
  { sigma, resolution = 3 }: DivergenceAtNoiseOptions,
): number[] {
  const d = teacher.dimensions;
  if (d > 2) throw new RangeError(`divergenceAtNoise: ${d} dimensions; a grid does for one or two.`);
  if (!(sigma > 0 && resolution > 0))
    throw new RangeError(
      `divergenceAtNoise: σ is ${sigma} and the resolution ${resolution}; both must be positive.`,
    );
  samples.forEach((sample, i) => {
    if (sample.length !== d || !sample.every(Number.isFinite))
      throw new RangeError(`divergenceAtNoise: sample ${i} is [${sample}], expected ${d} finite numbers.`);
  });
  if (samples.length === 0) throw new RangeError("divergenceAtNoise: there are no samples.");
  const step = sigma / resolution;
  const box = boxOf(samples, teacher, sigma);
  const counts = box.map(([low, high]) => Math.ceil((high - low) / step));
  const points = counts.reduce((product, count) => product * count, 1);
  if (points > mostPoints)
    throw new RangeError(
      `divergenceAtNoise: ${points} grid points at σ = ${sigma}; take a larger σ or a lower resolution.`,
    );
  const duals = divergences.map((divergence) => divergence.dual());
  const totals = divergences.map(() => 0);
  for (let i = 0; i < points; i++) {
    const x = box.map(
      ([low], axis) => low + step * (axis === 0 ? i % counts[0]! : Math.floor(i / counts[0]!)),
    );
    const logTarget = teacher.logDensityAt(x, sigma);
    const logModel = logKernelMean(x, samples, sigma);
    const l = logModel - logTarget;
    const [target, model] = [Math.exp(logTarget), Math.exp(logModel)];
    divergences.forEach((divergence, k) => {
      // The same term either way; each where it does not overflow.
      totals[k] = totals[k]! + (l < 0 ? target * divergence.value(l) : model * duals[k]!.value(-l));
    });
  }
  return totals.map((total) => total * step ** d);
}

/** The same of one divergence. */
export function divergenceAtNoise(
  divergence: Divergence,
  samples: readonly (readonly number[])[],
  teacher: GaussianMixture,
  options: DivergenceAtNoiseOptions,
): number {
  return divergencesAtNoise([divergence], samples, teacher, options)[0]!;
}
