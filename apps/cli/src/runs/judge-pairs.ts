import { choiceOutcomes, meanTokenLikelihood, type PreferenceLossOptions, preferenceLoss } from "@fdiv/dpo";
import { expectedCalibrationError, meanInterval, wilsonInterval } from "@fdiv/metrics";
import type { CausalLm } from "@fdiv/models";
import { microBatches } from "@fdiv/trainer";
import * as tf from "@tensorflow/tfjs-core";
import { pairBatch, pairLength, pairLengths, pairLogProbs, type ReferredPair } from "./pair-batch.ts";

/** What held-out pairs say of a policy, a number a pair. */
export interface PairJudgement {
  losses: number[];
  margins: number[];
  chosenLogProbs: number[];
  rejectedLogProbs: number[];
  chosenLogRatios: number[];
  chosenLengths: number[];
}

/** Scores pairs without a gradient. */
export function judgePairs(
  model: CausalLm,
  pairs: readonly ReferredPair[],
  options: Omit<PreferenceLossOptions, "lengths">,
  settings: { microBatchTokens: number; sharePrompt: boolean; lengthNormalised: boolean },
): PairJudgement {
  const judgement: PairJudgement = {
    losses: [],
    margins: [],
    chosenLogProbs: [],
    rejectedLogProbs: [],
    chosenLogRatios: [],
    chosenLengths: [],
  };
  const lengthOf = (pair: ReferredPair): number => pairLength(pair, settings.sharePrompt);
  for (const group of microBatches(pairs, lengthOf, settings.microBatchTokens)) {
    const figures = tf.tidy(() => {
      const logProbs = pairLogProbs(model, pairBatch(group, settings.sharePrompt));
      const lengths = settings.lengthNormalised ? { lengths: pairLengths(group) } : {};
      const result = preferenceLoss(logProbs, { ...options, ...lengths });
      const { chosen, rejected } = logProbs.policy;
      return tf.stack([result.loss, result.margin, chosen, rejected, result.chosenLogRatio]);
    });
    const [loss, margin, chosen, rejected, ratio] = figures.arraySync() as number[][];
    figures.dispose();
    judgement.losses.push(...loss!);
    judgement.margins.push(...margin!);
    judgement.chosenLogProbs.push(...chosen!);
    judgement.rejectedLogProbs.push(...rejected!);
    judgement.chosenLogRatios.push(...ratio!);
    judgement.chosenLengths.push(...group.map((pair) => pair.chosen.length));
  }
  return judgement;
}

const mean = (values: readonly number[]): number =>
  values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0) / values.length;

/** Means for the training log; a tie counts half. */
export function pairMetrics(judgement: PairJudgement): Record<string, number> {
  return {
    loss: mean(judgement.losses),
    "rewards/accuracies": mean(judgement.margins.map((margin) => (Math.sign(margin) + 1) / 2)),
    "rewards/margins": mean(judgement.margins),
    "logps/chosen": mean(judgement.chosenLogProbs),
    "logps/rejected": mean(judgement.rejectedLogProbs),
    "log-ratios/chosen": mean(judgement.chosenLogRatios),
  };
}

/** Share of pairs that the implicit reward ranks as labelled, with its 95 % interval; ½ at the reference itself. */
export function pairAccuracy({ margins }: PairJudgement) {
  const right = margins.reduce((sum, margin) => sum + (Math.sign(margin) + 1) / 2, 0);
  return wilsonInterval(right, margins.length);
}

const likelihoodRanks = ({ chosenLogProbs, rejectedLogProbs }: PairJudgement): number[] =>
  chosenLogProbs.map((chosen, i) => (Math.sign(chosen - rejectedLogProbs[i]!) + 1) / 2);

/** Share of pairs that a model ranks as labelled by its own log-probabilities, which needs no reference; a tie counts half. */
export function likelihoodAccuracy(judgement: PairJudgement) {
  const ranks = likelihoodRanks(judgement);
  return wilsonInterval(
    ranks.reduce((sum, rank) => sum + rank, 0),
    ranks.length,
  );
}

/** How much more of the same pairs are ranked right after than before, with the interval of the paired difference. */
export function likelihoodChange(before: PairJudgement, after: PairJudgement) {
  const ranks = likelihoodRanks(before);
  return meanInterval(likelihoodRanks(after).map((rank, i) => rank - ranks[i]!));
}

/** Both calibration errors of the literature, by name. */
export function pairCalibration(judgement: PairJudgement) {
  const choice = choiceOutcomes(judgement.margins);
  return {
    bradleyTerry: expectedCalibrationError(choice.confidences, choice.outcomes),
    meanTokenLikelihood: expectedCalibrationError(
      meanTokenLikelihood(judgement.chosenLogProbs, judgement.chosenLengths),
      choice.outcomes,
    ),
  };
}
