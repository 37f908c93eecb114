import { asFeature, excerpt, type FeatureLike, ScoreError } from "./feature.ts";

/** A factor of an unnormalised density, in logarithms. */
export interface Scorer<X, C = unknown> {
  readonly name: string;
  /** Whether a factor may be 0, so that the target has no mass there. */
  readonly hardZeros: boolean;
  /** log of the factor of each outcome, [outcomes]; −∞ where it is 0. */
  logScores(outcomes: readonly X[], contexts: readonly C[]): Promise<Float64Array>;
}

/** b(x) ∈ {0, 1}: what the target must be. */
export function booleanScorer<X, C = unknown>(of: FeatureLike<X, C>): Scorer<X, C> {
  const made = asFeature(of);
  return {
    name: made.name,
    hardZeros: true,
    async logScores(outcomes, contexts) {
      const values = await made.values(outcomes, contexts);
      return values.map((value, i) => {
        if (value !== 0 && value !== 1)
          throw new ScoreError(
            `${made.name} gave ${value} for "${excerpt(outcomes[i])}"; a boolean scorer gives true or false.`,
          );
        return value === 1 ? 0 : Number.NEGATIVE_INFINITY;
      });
    },
  };
}

/**
 * A factor of at least 0; 0 itself only with `zeros: true`, since a target with zeros is infinitely far from a policy under some divergences.
 *
 * @throws ScoreError, when scoring, on a negative value or a 0 that was not announced
 */
export function positiveScorer<X, C = unknown>(
  of: FeatureLike<X, C>,
  options: { zeros?: boolean } = {},
): Scorer<X, C> {
  const { zeros = false } = options;
  const made = asFeature(of);
  return {
    name: made.name,
    hardZeros: zeros,
    async logScores(outcomes, contexts) {
      const values = await made.values(outcomes, contexts);
      return values.map((value, i) => {
        if (value < 0 || (value === 0 && !zeros))
          throw new ScoreError(
            `${made.name} gave ${value} for "${excerpt(outcomes[i])}"; a positive scorer gives more than 0` +
              (value === 0 ? ", or 0 as well with { zeros: true }." : "."),
          );
        return Math.log(value);
      });
    },
  };
}

/**
 * exp(Σ λₖ·φₖ(x)) (GDC, arXiv 2012.11635, equation 2).
 *
 * @throws RangeError when there is not one finite coefficient a feature
 */
export function exponentialScorer<X, C = unknown>(
  features: readonly FeatureLike<X, C>[],
  coefficients: readonly number[],
): Scorer<X, C> {
  const made = features.map(asFeature);
  const name = `exp(${made.map((one) => one.name).join(", ")})`;
  if (coefficients.length !== made.length || !coefficients.every(Number.isFinite))
    throw new RangeError(`${name}: the coefficients [${coefficients}] are not one finite number a feature.`);
  return {
    name,
    hardZeros: false,
    async logScores(outcomes, contexts) {
      const sums = new Float64Array(outcomes.length);
      for (const [k, one] of made.entries()) {
        const values = await one.values(outcomes, contexts);
        for (let i = 0; i < sums.length; i++) sums[i]! += coefficients[k]! * values[i]!;
      }
      return sums;
    },
  };
}
