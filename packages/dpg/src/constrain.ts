import { random as randomOf } from "@fdiv/tensor-core";
import { type DualFit, type DualSamples, dualAt, fitDual, lambdaErrors } from "./dual.ts";
import { asFeature, type Feature, type FeatureLike } from "./feature.ts";
import { logAdd } from "./log-space.ts";
import { type Distribution, drawDistribution, SampleCountError, scoreOutcomes } from "./policy.ts";
import type { BasedTarget, Target } from "./target.ts";

/** A feature and the mean that it shall have under the target, over contexts on average. */
export interface Constraint<X, C = unknown> {
  feature: FeatureLike<X, C>;
  moment: number;
}

export interface ConstraintOptions<X, C = undefined> {
  /** Contexts that moments are means over; default the one, undefined. */
  contexts?: readonly C[];
  /** Outcomes drawn of each context at first; default 2048. */
  samples?: number;
  /** At most so many of each context, drawn while the fit rests on too few effective ones; default 16 × samples. */
  maxSamples?: number;
  /** How many effective samples each context's fit needs; default 100. */
  effectiveSamples?: number;
  /** What is drawn from; default the base. A proposal that shows rare features more often needs fewer samples. */
  proposal?: Distribution<X, C>;
  /**
   * Makes a better proposal of the target as fitted so far, a policy trained towards it for instance; later samples come from it, all are
   * weighed by the mixture that they came from.
   */
  adapt?: (target: Target<X, C>) => Distribution<X, C> | Promise<Distribution<X, C>>;
  /** Moments are met to this, in units of each feature's spread; default 10⁻⁹. */
  tolerance?: number;
  maxIterations?: number;
  /** Default 0. */
  seed?: number | string;
}

/** What was fitted and how far it can be trusted. */
export interface ConstraintFit {
  names: string[];
  /** λ, one a feature. */
  coefficients: number[];
  /** Of λ, for there being finitely many samples. */
  standardErrors: number[];
  /** E_p φ as fitted, by self-normalised weights, and what it differs from what was asked. */
  moments: number[];
  residuals: number[];
  /** Of those moments, for there being finitely many samples. */
  momentErrors: number[];
  /** E φ before the tilt. */
  baseMoments: number[];
  /** (Σw)²/Σw² of the context that has least. */
  effectiveSamples: number;
  /** Drawn of each context. */
  samples: number;
  /** Newton steps of the last fit. */
  iterations: number;
  /** How often samples were drawn. */
  rounds: number;
  /** log Ẑ of each context. */
  logPartition: number[];
  /** Whatever makes the fit doubtful, in words; empty when nothing does. */
  warnings: string[];
}

/** No distribution over what can be drawn has the moments asked for. */
export class InfeasibleMomentsError extends Error {
  override name = "InfeasibleMomentsError";
}

/** A feature has had one value in all samples, so that no tilt can be told to change its mean. */
export class UnseenFeatureError extends Error {
  override name = "UnseenFeatureError";
}

/** Outcomes of every round, [samples]. */
interface Pool<X, C> {
  outcomes: X[];
  contexts: C[];
  contextOf: number[];
  logScores: number[];
  /** φ, [features][samples]. */
  features: number[][];
  rounds: { proposal: Distribution<X, C>; perContext: number }[];
  /** log q of each sample under each different proposal. */
  logProposals: Map<Distribution<X, C>, number[]>;
}

async function drawRound<X, C>(
  pool: Pool<X, C>,
  target: BasedTarget<X, C>,
  proposal: Distribution<X, C>,
  features: readonly Feature<X, C>[],
  contexts: readonly C[],
  perContext: number,
  seed: number | string,
): Promise<void> {
  const contextOf = contexts.flatMap((_, c) => new Array<number>(perContext).fill(c));
  const asked = contextOf.map((c) => contexts[c]!);
  const stream = randomOf(seed).fork("constrain").fork(pool.rounds.length);
  const drawn = await drawDistribution("constrain: the proposal", proposal, asked, stream);
  const { logScores } = await target.score(drawn.outcomes, asked);
  for (const [k, one] of features.entries()) {
    const values = await one.values(drawn.outcomes, asked);
    for (const value of values) pool.features[k]!.push(value);
  }
  const before = [...pool.outcomes];
  for (const [i, outcome] of drawn.outcomes.entries()) {
    pool.outcomes.push(outcome);
    pool.contexts.push(asked[i]!);
    pool.contextOf.push(contextOf[i]!);
    pool.logScores.push(logScores[i]!);
  }
  for (const [known, logProbs] of pool.logProposals) {
    const more =
      known === proposal
        ? drawn.logProbs
        : await scoreOutcomes("constrain: a proposal", known, drawn.outcomes, asked);
    for (const x of more) logProbs.push(x);
  }
  if (!pool.logProposals.has(proposal)) {
    const earlier =
      before.length === 0
        ? []
        : await scoreOutcomes(
            "constrain: a proposal",
            proposal,
            before,
            pool.contexts.slice(0, before.length),
          );
    pool.logProposals.set(proposal, [...earlier, ...drawn.logProbs]);
  }
  pool.rounds.push({ proposal, perContext });
}

/** Weights P/q of the mixture of all proposals, each counting the share that was drawn of it (the balance heuristic of Veach & Guibas 1995). */
function weigh<X, C>(pool: Pool<X, C>, contexts: number): DualSamples {
  const perContext = pool.rounds.reduce((sum, round) => sum + round.perContext, 0);
  const shares = new Map<Distribution<X, C>, number>();
  for (const { proposal, perContext: n } of pool.rounds)
    shares.set(proposal, (shares.get(proposal) ?? 0) + n / perContext);
  const logMixture = new Float64Array(pool.outcomes.length).fill(Number.NEGATIVE_INFINITY);
  for (const [proposal, share] of shares) {
    const logProbs = pool.logProposals.get(proposal)!;
    for (let i = 0; i < logMixture.length; i++)
      logMixture[i] = logAdd(logMixture[i]!, Math.log(share) + logProbs[i]!);
  }
  const members: number[][] = Array.from({ length: contexts }, () => []);
  for (const [i, c] of pool.contextOf.entries()) members[c]!.push(i);
  return {
    logWeights: logMixture.map((logQ, i) => pool.logScores[i]! - logQ),
    features: pool.features.map((values) => Float64Array.from(values)),
    contexts: members,
  };
}

/** What is wrong with asking these samples for these moments, seen one feature at a time. */
function refusal(samples: DualSamples, names: string[], moments: readonly number[]): Error | undefined {
  const { logWeights, features, contexts } = samples;
  for (const [c, members] of contexts.entries())
    if (!members.some((i) => logWeights[i]! > Number.NEGATIVE_INFINITY))
      return new UnseenFeatureError(
        `constrain: none of ${members.length} samples of context ${c} has any mass under the target before the tilt; its scorers reject all. ` +
          "Draw more samples, or give a proposal that meets them.",
      );
  for (const [k, values] of features.entries()) {
    let low = 0;
    let high = 0;
    let seen = 0;
    for (const members of contexts) {
      const alive = members.filter((i) => logWeights[i]! > Number.NEGATIVE_INFINITY).map((i) => values[i]!);
      low += alive.reduce((a, b) => Math.min(a, b)) / contexts.length;
      high += alive.reduce((a, b) => Math.max(a, b)) / contexts.length;
      seen += alive.length;
    }
    const moment = moments[k]!;
    if (low === high && low !== moment)
      return new UnseenFeatureError(
        `constrain: ${names[k]} is ${low} in all of ${seen} samples, so no tilt of them can have the mean ${moment}. ` +
          "It never occurs, or is rarer than the samples show: draw more (maxSamples), or give a proposal that shows it.",
      );
    if (low !== high && (moment <= low || moment >= high))
      return new InfeasibleMomentsError(
        `constrain: ${names[k]} shall have the mean ${moment}, but means of the ${seen} samples lie strictly between ${low} and ${high}` +
          (moment === low || moment === high
            ? "; for a feature that must always hold use times(booleanScorer(…))."
            : "; ask for less, or draw from a proposal that shows such values."),
      );
  }
  return undefined;
}

function check<X, C>(constraints: readonly Constraint<X, C>[], options: ConstraintOptions<X, C>): void {
  if (constraints.length === 0) throw new RangeError("constrain: there is no constraint.");
  for (const { moment } of constraints)
    if (!Number.isFinite(moment))
      throw new RangeError(`constrain: a moment is ${moment}, expected a number.`);
  const { samples = 2048, maxSamples = 16 * samples, effectiveSamples = 100 } = options;
  if (!(Number.isSafeInteger(samples) && samples >= 2))
    throw new SampleCountError(`constrain: samples is ${samples}, expected a whole number of at least 2.`);
  if (!(maxSamples >= samples))
    throw new RangeError(`constrain: maxSamples is ${maxSamples}, less than samples, ${samples}.`);
  if (!(effectiveSamples >= 0))
    throw new RangeError(`constrain: effectiveSamples is ${effectiveSamples}, expected a positive number.`);
  if (options.contexts?.length === 0) throw new RangeError("constrain: there is no context.");
}

function report(
  fit: DualFit,
  samples: DualSamples,
  names: string[],
  targets: readonly number[],
  rounds: number,
  wanted: number,
): ConstraintFit {
  const { lambda, point, iterations } = fit;
  const standardErrors = lambdaErrors(point);
  const effectiveSamples = point.effectiveSamples.reduce((a, b) => Math.min(a, b));
  const before = dualAt(samples, new Float64Array(lambda.length), targets);
  const warnings: string[] = [];
  if (effectiveSamples < wanted)
    warnings.push(
      `The fit rests on ${effectiveSamples.toFixed(1)} effective samples where ${wanted} were asked for: draw more, or from a proposal nearer to the target.`,
    );
  for (const [k, error] of standardErrors.entries())
    if (!(error < 1))
      warnings.push(`λ of ${names[k]} is known to ± ${error.toPrecision(2)} only (one standard error).`);
  return {
    names,
    coefficients: [...lambda],
    standardErrors,
    moments: [...point.moments],
    residuals: [...point.moments].map((moment, k) => moment - targets[k]!),
    momentErrors: point.errors.map((row, k) => Math.sqrt(row[k]!)),
    baseMoments: [...before.moments],
    effectiveSamples,
    samples: samples.contexts[0]!.length,
    iterations,
    rounds,
    logPartition: [...point.logPartition],
    warnings,
  };
}

/**
 * Fits λ of P·exp(λ·φ) to moments (GDC, arXiv 2012.11635, section 2.2): the least point of the convex dual mean_c log Z_c(λ) − λ·μ, over
 * importance-weighted samples, by Newton's method. While it rests on too few effective samples, more are drawn, twice as many in all each time.
 *
 * @throws InfeasibleMomentsError, UnseenFeatureError; RangeError on options
 */
export async function fitConstraints<X, C>(
  target: BasedTarget<X, C>,
  tilted: (coefficients: readonly number[]) => Target<X, C>,
  constraints: readonly Constraint<X, C>[],
  options: ConstraintOptions<X, C>,
): Promise<ConstraintFit> {
  check(constraints, options);
  const { samples = 2048, maxSamples = 16 * samples, effectiveSamples = 100, seed = 0, adapt } = options;
  const contexts = options.contexts ?? [undefined as C];
  const features = constraints.map(({ feature }) => asFeature(feature));
  const names = features.map(({ name }) => name);
  const moments = constraints.map(({ moment }) => moment);
  const pool: Pool<X, C> = {
    outcomes: [],
    contexts: [],
    contextOf: [],
    logScores: [],
    features: features.map(() => []),
    rounds: [],
    logProposals: new Map(),
  };
  let proposal = options.proposal ?? target.base;
  let drawn = 0;
  let start: Float64Array | undefined;
  for (;;) {
    const more = Math.min(drawn === 0 ? samples : drawn, maxSamples - drawn);
    await drawRound(pool, target, proposal, features, contexts, more, seed);
    drawn += more;
    const weighed = weigh(pool, contexts.length);
    const reason = refusal(weighed, names, moments);
    if (reason) {
      if (drawn >= maxSamples) throw reason;
      continue;
    }
    const fit = fitDual(weighed, moments, { ...options, start });
    if (fit.outcome !== "converged") {
      if (drawn < maxSamples) continue;
      throw new InfeasibleMomentsError(
        `constrain: no tilt of ${drawn} samples a context has the means [${moments}] of [${names}] together: they lie outside what these ` +
          `outcomes can reach, or on its border (reached: [${[...fit.point.moments].map((x) => x.toPrecision(4))}]).`,
      );
    }
    const result = report(fit, weighed, names, moments, pool.rounds.length, effectiveSamples);
    if (result.effectiveSamples >= effectiveSamples || drawn >= maxSamples) return result;
    start = fit.lambda;
    if (adapt) proposal = await adapt(tilted(result.coefficients));
  }
}
