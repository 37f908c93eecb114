import type { Divergence } from "@fdiv/divergences";

/** A divergence whose weight does not carry its gradient. */
export class InadmissibleWeightError extends Error {
  override name = "InadmissibleWeightError";
}

/** Log-ratios between which the score has to be the weight's integral; beyond those that the ratio's clamps leave. */
const range = 4;
const steps = 4001;

/** How much of the score's rise over [−range, range] the weight's integral (Simpson's rule) leaves out. */
function missedRise({ score, weight }: Divergence): number {
  const width = (2 * range) / (steps - 1);
  let integral = 0;
  for (let i = 0; i < steps; i++) {
    const factor = i === 0 || i === steps - 1 ? 1 : i % 2 === 1 ? 4 : 2;
    integral += ((factor * width) / 3) * weight(-range + i * width);
  }
  const rise = score(range) - score(-range);
  return rise > 0 ? Math.abs(rise - integral) / rise : Number.NaN;
}

/** Why a divergence's gradient is not the weighted score difference, or nothing where it is. */
function reasonAgainst(divergence: Divergence): string | undefined {
  const { name, weight } = divergence;
  for (let l = -range; l <= range; l += 0.25) {
    const h = weight(l);
    if (!(h >= 0 && h < Number.POSITIVE_INFINITY))
      return `its weight at the log-ratio ${l} is ${h}, so f is not convex there`;
  }
  const missed = missedRise(divergence);
  if (missed < 0.01) return undefined;
  if (Number.isNaN(missed)) return "its score never rises, so every generator is as good as any other";
  return (
    `its score f′ jumps: ${(100 * missed).toFixed(0)} % of the gradient lies in points (for ${name === "total-variation" ? "it, all in a delta" : "instance a delta"} where f has a kink), ` +
    "and the weight h(l) = s′(l), which is all that samples are weighed by, misses it"
  );
}

/** Whether the generator's gradient under D_f is the score difference times the weight h, with nothing hidden in kinks of f. */
export function isWeightAdmissible(divergence: Divergence): boolean {
  return reasonAgainst(divergence) === undefined;
}

/** Throws InadmissibleWeightError, saying why, unless the weight is admissible. */
export function checkWeightAdmissible(divergence: Divergence): void {
  const reason = reasonAgainst(divergence);
  if (!reason) return;
  throw new InadmissibleWeightError(
    `${divergence.name} can't weigh distribution matching: ${reason}. Use one with a smooth f ` +
      "(reverse-kl, jensen-shannon, forward-kl, squared-hellinger, jeffreys, softened-reverse-kl, alpha:α, …).",
  );
}
