/** How outcomes are drawn from a model's own law: what is left out changes nothing. */
export interface SamplingLaw {
  /** Default 1. */
  temperature?: number;
  /** Only the k likeliest tokens; 0, the default, means all. */
  topK?: number;
  /** Only the smallest set of likeliest tokens that reaches this probability; default 1, all. */
  topP?: number;
}

/** The law that outcomes were drawn from is not the law that they are scored by, or cuts off outcomes. */
export class LawMismatchError extends Error {
  override name = "LawMismatchError";
}

const complete = ({ temperature = 1, topK = 0, topP = 1 }: SamplingLaw = {}): Required<SamplingLaw> => ({
  temperature,
  topK,
  topP,
});

const spelled = (law: SamplingLaw | undefined): string => {
  const { temperature, topK, topP } = complete(law);
  return `temperature ${temperature}, topK ${topK}, topP ${topP}`;
};

/**
 * Makes sure that outcomes were drawn from the law that they are scored by: importance weights and divergences are wrong otherwise.
 *
 * @throws LawMismatchError naming both laws
 */
export function checkSameLaw(who: string, sampled?: SamplingLaw, scored?: SamplingLaw): void {
  const [a, b] = [complete(sampled), complete(scored)];
  if (a.temperature === b.temperature && a.topK === b.topK && a.topP === b.topP) return;
  throw new LawMismatchError(
    `${who} drew with ${spelled(sampled)} but scores with ${spelled(scored)}: weights and divergences would be those of neither. ` +
      "Sample from the law that is scored, or hand these samples over as a proposal's, with log-probabilities under their own law.",
  );
}

/**
 * Makes sure that a proposal can draw every outcome: what top-k or top-p cut off would be missing from every estimate.
 *
 * @throws LawMismatchError when the law cuts off outcomes or always draws the likeliest
 */
export function checkFullSupport(who: string, law?: SamplingLaw): void {
  const { temperature, topK, topP } = complete(law);
  if (temperature > 0 && topK === 0 && topP === 1) return;
  throw new LawMismatchError(
    `${who} drew with ${spelled(law)}, which never draws some outcomes: no importance weight makes up for them. ` +
      "Sample with temperature > 0, topK 0 and topP 1.",
  );
}

/**
 * Compares the log-probabilities that came with the draws with those of the same outcomes scored afresh.
 *
 * @param tolerance nats by which they may differ, plus 10⁻⁴ of their size; default .01
 * @throws LawMismatchError with the outcome that differs most
 */
export function checkSampledLogProbs(
  who: string,
  sampled: ArrayLike<number>,
  scored: ArrayLike<number>,
  tolerance = 0.01,
): void {
  let worst = -1;
  let excess = 0;
  for (let i = 0; i < sampled.length; i++) {
    const over = Math.abs(sampled[i]! - scored[i]!) - tolerance - 1e-4 * Math.abs(scored[i]!);
    if (over > excess || Number.isNaN(over)) [worst, excess] = [i, Number.isNaN(over) ? Infinity : over];
  }
  if (worst < 0) return;
  throw new LawMismatchError(
    `${who} drew outcome ${worst} with log-probability ${sampled[worst]} but scores it ${scored[worst]}: it samples another law than it ` +
      "scores (temperature, top-k, top-p, a forbidden token, dropout, an end-of-sequence token that is left out, …).",
  );
}
