import type { Divergence } from "@fdiv/divergences";

/** A divergence under which the preference loss would not optimise what it claims to. */
export class InadmissibleDivergenceError extends Error {
  override name = "InadmissibleDivergenceError";
}

/**
 * Whether a reward under D_f-regularisation is r = β·f′(π⋆/π_ref) + λ(x) for every outcome, so that λ cancels in a pair: exactly
 * when f′(0⁺) = −∞ keeps every outcome's probability positive (f-DPO, arXiv 2309.16240, theorem 1).
 */
export function isAdmissible(divergence: Divergence): boolean {
  return divergence.scoreLimits[0] === Number.NEGATIVE_INFINITY;
}

/** Throws InadmissibleDivergenceError, saying why, unless the divergence is admissible. */
export function checkAdmissible(divergence: Divergence): void {
  if (isAdmissible(divergence)) return;
  throw new InadmissibleDivergenceError(
    `${divergence.name} does not admit a preference loss: its f′(0) = ${divergence.scoreLimits[0].toPrecision(4)} is finite, so the best ` +
      "policy gives some outcomes probability 0, and for those the reward is not β·f′(π/π_ref) + λ: λ does not cancel between chosen and " +
      "rejected. Use one with f′(0) = −∞ (reverse-kl, jensen-shannon, forward-kl, alpha:α with α ≥ 0, jeffreys, …).",
  );
}
