import type { Random } from "@fdiv/tensor-core";
import { logSumOf } from "./log-space.ts";
import { drawProposal, type Proposal, SampleCountError } from "./policy.ts";
import type { Target } from "./target.ts";
import { checkNumbers } from "./weights.ts";

/** Samples of a proposal that passed. */
export interface QuasiRejection<X> {
  outcomes: X[];
  /** How many were drawn for them. */
  draws: number;
  acceptanceRate: number;
  /** The largest log(P/q) seen: the samples follow the target exactly when log β is at least the largest there is. */
  largestLogRatio: number;
  /** Whether no draw so far has shown that they do not. */
  seemsExact: boolean;
}

const logBetaOf = (what: string, beta: number | undefined, logBeta: number | undefined): number => {
  const found = logBeta ?? Math.log(beta ?? Number.NaN);
  if (!Number.isFinite(found))
    throw new RangeError(`${what}: give beta, a positive number, or its logarithm, logBeta.`);
  return found;
};

/**
 * Quasi-rejection sampling (arXiv 2112.05702): accepts x ∼ q with probability min(1, P/(βq)); the law of what passes is p_β ∝ min(P, βq),
 * the target itself once β ≥ sup P/q.
 *
 * @param options.count how many shall pass, all of one context
 * @param options.maxDraws where it gives up, returning what it has; default 1000 × count
 * @throws RangeError on β; SampleCountError on count
 */
export async function quasiRejection<X, C = undefined>(options: {
  target: Target<X, C>;
  proposal: Proposal<X, C>;
  beta?: number;
  logBeta?: number;
  count: number;
  context?: C;
  random: Random;
  /** Drawn at a time; default 64. */
  batch?: number;
  maxDraws?: number;
}): Promise<QuasiRejection<X>> {
  const { target, proposal, count, random, batch = 64, maxDraws = 1000 * count } = options;
  const logBeta = logBetaOf("quasiRejection", options.beta, options.logBeta);
  if (!(Number.isSafeInteger(count) && count > 0))
    throw new SampleCountError(`quasiRejection: count is ${count}, expected a whole number of at least 1.`);
  const outcomes: X[] = [];
  let draws = 0;
  let largestLogRatio = Number.NEGATIVE_INFINITY;
  while (outcomes.length < count && draws < maxDraws) {
    const contexts = new Array<C>(Math.min(batch, maxDraws - draws)).fill(options.context as C);
    const drawn = await drawProposal("quasiRejection: the proposal", proposal, contexts, random.fork(draws));
    const { logScores } = await target.score(drawn.outcomes, contexts);
    const coins = random.fork(`accept ${draws}`);
    for (let i = 0; i < contexts.length && outcomes.length < count; i++) {
      draws++;
      const logRatio = logScores[i]! - drawn.logProbs[i]!;
      largestLogRatio = Math.max(largestLogRatio, logRatio);
      if (Math.log(coins.next()) < logRatio - logBeta) outcomes.push(drawn.outcomes[i]!);
    }
  }
  return {
    outcomes,
    draws,
    acceptanceRate: outcomes.length / draws,
    largestLogRatio,
    seemsExact: largestLogRatio <= logBeta,
  };
}

/** How quasi-rejection does at one β. */
export interface AcceptancePoint {
  beta: number;
  /** E_q min(1, P/(βq)) = Z_β/β. */
  acceptanceRate: number;
  /** Standard error of the rate; 0 where the proposal was enumerated. */
  standardError: number;
  /** log Z_β, Z_β = E_q min(P/q, β). */
  logZ: number;
  /** KL(p‖p_β) and TV(p, p_β): what is paid for accepting more. */
  forwardKl: number;
  totalVariation: number;
  /** No ratio seen is above β. */
  exact: boolean;
}

/**
 * Acceptance rate and distance to the target of quasi-rejection sampling as functions of β, from samples of the proposal or, with
 * `logMasses`, from its enumerated outcomes.
 *
 * @param batch.logScores log P, [samples]
 * @param batch.logProposal log q, [samples]
 * @param batch.logMasses log of what each counts; log q for enumerated outcomes, 1/n each when absent
 * @throws SampleCountError without samples; RangeError on lengths, NaN, β, or where nothing has mass under the target
 */
export function acceptanceCurve(
  batch: {
    logScores: ArrayLike<number>;
    logProposal: ArrayLike<number>;
    logMasses?: ArrayLike<number>;
  },
  betas: readonly number[],
): AcceptancePoint[] {
  const { logScores, logProposal, logMasses } = batch;
  const samples = logScores.length;
  if (samples === 0) throw new SampleCountError("acceptanceCurve: there are no samples.");
  checkNumbers("acceptanceCurve", samples, { logScores, logProposal, logMasses });
  const masses = logMasses ?? new Float64Array(samples).fill(-Math.log(samples));
  const logRatios = Float64Array.from({ length: samples }, (_, i) => logScores[i]! - logProposal[i]!);
  const weighted = logRatios.map((ratio, i) => ratio + masses[i]!);
  const logZ = logSumOf(weighted);
  if (!Number.isFinite(logZ)) throw new RangeError("acceptanceCurve: no sample has mass under the target.");
  return betas.map((beta) => {
    const logBeta = logBetaOf("acceptanceCurve", beta, undefined);
    const accepted = logRatios.map((ratio, i) => Math.min(ratio, logBeta) + masses[i]!);
    const logZBeta = logSumOf(accepted);
    let forwardKl = 0;
    let totalVariation = 0;
    let squares = 0;
    for (let i = 0; i < samples; i++) {
      const p = Math.exp(weighted[i]! - logZ);
      totalVariation += Math.abs(p - Math.exp(accepted[i]! - logZBeta)) / 2;
      if (p > 0) forwardKl += p * (Math.max(0, logRatios[i]! - logBeta) + logZBeta - logZ);
      squares += Math.exp(masses[i]! + 2 * Math.min(0, logRatios[i]! - logBeta));
    }
    const acceptanceRate = Math.exp(logZBeta - logBeta);
    return {
      beta,
      acceptanceRate,
      standardError: logMasses ? 0 : Math.sqrt(Math.max(0, squares - acceptanceRate ** 2) / samples),
      logZ: logZBeta,
      forwardKl,
      totalVariation,
      exact: logRatios.every((ratio) => ratio <= logBeta),
    };
  });
}
