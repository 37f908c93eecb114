import { type Constraint, type ConstraintFit, type ConstraintOptions, fitConstraints } from "./constrain.ts";
import { type FeatureLike, ScoreError } from "./feature.ts";
import { type Distribution, scoreOutcomes } from "./policy.ts";
import { exponentialScorer, positiveScorer, type Scorer } from "./scorer.ts";

/** What a target says of outcomes. */
export interface Scores {
  /** log P(x|c), unnormalised; −∞ where there is no mass. */
  logScores: Float64Array;
  /** log a(x|c), where there is a base. */
  baseLogProbs?: Float64Array;
}

/** An unnormalised density P(x|c) that can be evaluated; in each context p = P/Z. */
export interface Target<X, C = undefined> {
  readonly base?: Distribution<X, C>;
  /** Whether it is known to have no mass on some outcomes. */
  readonly hardZeros: boolean;
  score(outcomes: readonly X[], contexts: readonly C[]): Promise<Scores>;
  /** P·b: a scorer, or a function that gives booleans or numbers of at least 0. */
  times(scorer: Scorer<X, C> | FeatureLike<X, C>): Target<X, C>;
  /** P·exp(r/β): with P the base alone, the optimum of RLHF, max E_π r − β·KL(π‖a). */
  tilt(reward: FeatureLike<X, C>, options: { beta: number }): Target<X, C>;
}

/** A target made of a base distribution. */
export interface BasedTarget<X, C = undefined> extends Target<X, C> {
  readonly base: Distribution<X, C>;
  times(scorer: Scorer<X, C> | FeatureLike<X, C>): BasedTarget<X, C>;
  tilt(reward: FeatureLike<X, C>, options: { beta: number }): BasedTarget<X, C>;
  /**
   * P·exp(λ·φ) with λ such that E_p φ = μ, the nearest to P in KL of all that have these moments; over contexts, on average, each
   * normalised by itself.
   */
  constrain(
    constraints: readonly Constraint<X, C>[],
    options?: ConstraintOptions<X, C>,
  ): Promise<ConstrainedTarget<X, C>>;
}

/** A target with fitted moments, and how good the fit is. */
export interface ConstrainedTarget<X, C = undefined> extends BasedTarget<X, C> {
  readonly fit: ConstraintFit;
}

const asScorer = <X, C>(given: Scorer<X, C> | FeatureLike<X, C>): Scorer<X, C> =>
  typeof given === "object" && "logScores" in given ? given : positiveScorer(given, { zeros: true });

function tiltScorer<X, C>(reward: FeatureLike<X, C>, beta: number): Scorer<X, C> {
  if (!(beta > 0 && Number.isFinite(beta)))
    throw new RangeError(`tilt: beta is ${beta}, expected a positive number.`);
  return exponentialScorer([reward], [1 / beta]);
}

async function sumScores<X, C>(
  start: Float64Array,
  scorers: readonly Scorer<X, C>[],
  outcomes: readonly X[],
  contexts: readonly C[],
): Promise<Float64Array> {
  const sums = Float64Array.from(start);
  for (const scorer of scorers) {
    const scores = await scorer.logScores(outcomes, contexts);
    for (let i = 0; i < sums.length; i++) {
      if (Number.isNaN(scores[i]!) || scores[i] === Number.POSITIVE_INFINITY)
        throw new ScoreError(`${scorer.name} gave outcome ${i} the log score ${scores[i]}.`);
      // A zero stays a zero, whatever the other factors are.
      sums[i] = sums[i] === Number.NEGATIVE_INFINITY ? sums[i]! : sums[i]! + scores[i]!;
    }
  }
  return sums;
}

function based<X, C>(base: Distribution<X, C>, scorers: readonly Scorer<X, C>[]): BasedTarget<X, C> {
  const made: BasedTarget<X, C> = {
    base,
    hardZeros: scorers.some(({ hardZeros }) => hardZeros),
    async score(outcomes, contexts) {
      const baseLogProbs = await scoreOutcomes("the base", base, outcomes, contexts);
      return { logScores: await sumScores(baseLogProbs, scorers, outcomes, contexts), baseLogProbs };
    },
    times: (scorer) => based(base, [...scorers, asScorer(scorer)]),
    tilt: (reward, { beta }) => based(base, [...scorers, tiltScorer(reward, beta)]),
    async constrain(constraints, options = {}) {
      const features = constraints.map((constraint) => constraint.feature);
      const tilted = (coefficients: readonly number[]) =>
        based(base, [...scorers, exponentialScorer(features, coefficients)]);
      const fit = await fitConstraints(made, tilted, constraints, options);
      return { ...tilted(fit.coefficients), fit };
    },
  };
  return made;
}

/** The base as a target, to be composed: `target(base).times(scorer)`, `.tilt(reward, { beta })`, `.constrain([…])`. */
export function target<X, C = undefined>(base: Distribution<X, C>): BasedTarget<X, C> {
  return based(base, []);
}

function free<X, C>(
  logScore: (
    outcomes: readonly X[],
    contexts: readonly C[],
  ) => ArrayLike<number> | Promise<ArrayLike<number>>,
  hardZeros: boolean,
  base: Distribution<X, C> | undefined,
  scorers: readonly Scorer<X, C>[],
): Target<X, C> {
  return {
    base,
    hardZeros: hardZeros || scorers.some((scorer) => scorer.hardZeros),
    async score(outcomes, contexts) {
      const start = Float64Array.from(Array.from(await logScore(outcomes, contexts)));
      if (start.length !== outcomes.length)
        throw new ScoreError(`unnormalised: ${start.length} log scores for ${outcomes.length} outcomes.`);
      start.forEach((value, i) => {
        if (Number.isNaN(value) || value === Number.POSITIVE_INFINITY)
          throw new ScoreError(`unnormalised: outcome ${i} has the log score ${value}.`);
      });
      const logScores = await sumScores(start, scorers, outcomes, contexts);
      if (!base) return { logScores };
      return { logScores, baseLogProbs: await scoreOutcomes("the base", base, outcomes, contexts) };
    },
    times: (scorer) => free(logScore, hardZeros, base, [...scorers, asScorer(scorer)]),
    tilt: (reward, { beta }) => free(logScore, hardZeros, base, [...scorers, tiltScorer(reward, beta)]),
  };
}

/**
 * Any density as a target, from its logarithm up to a constant of each context.
 *
 * @param logScore log P of a batch of outcomes; −∞ where there is no mass
 * @param options.hardZeros whether it has zeros; found out when one turns up, if not said
 * @param options.base what smoothing mixes in and KL(π‖a) is measured to; it is no factor of P
 */
export function unnormalised<X, C = undefined>(
  logScore: (
    outcomes: readonly X[],
    contexts: readonly C[],
  ) => ArrayLike<number> | Promise<ArrayLike<number>>,
  options: { hardZeros?: boolean; base?: Distribution<X, C> } = {},
): Target<X, C> {
  return free(logScore, options.hardZeros ?? false, options.base, []);
}
