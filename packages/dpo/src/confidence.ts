// The two confidences whose calibration the literature measures. They are different things; both are worth reporting, by name.

/** The Bradley–Terry probability sigmoid(Δ) of each pair's label; its outcome is whether the label is right. */
export function bradleyTerryConfidence(margins: ArrayLike<number>): number[] {
  return Array.from(margins, (margin) => 1 / (1 + Math.exp(-margin)));
}

/**
 * The confidence of a choice between two answers as the larger Bradley–Terry probability, and whether the choice is the label: 1, 0, or ½ for a tie,
 * which every pair is before training.
 *
 * A pair always lists its label first, so sigmoid(Δ) alone has every outcome true; the choice is what can be wrong.
 */
export function choiceOutcomes(margins: ArrayLike<number>): { confidences: number[]; outcomes: number[] } {
  const probabilities = bradleyTerryConfidence(margins);
  return {
    confidences: probabilities.map((p) => Math.max(p, 1 - p)),
    outcomes: Array.from(margins, (margin) => (margin > 0 ? 1 : margin < 0 ? 0 : 0.5)),
  };
}

/** exp(mean token log-probability) of each completion, what the f-DPO paper bins (arXiv 2309.16240, section 5). */
export function meanTokenLikelihood(logProbs: ArrayLike<number>, lengths: ArrayLike<number>): number[] {
  // A certain token's log-probability may be rounded to just above 0.
  return Array.from(logProbs, (logProb, i) => Math.min(1, Math.exp(logProb / lengths[i]!)));
}
