import type { Divergence } from "@fdiv/divergences";

/** The divergence of a policy from this target is infinite, so that it has no gradient. */
export class InfiniteDivergenceError extends Error {
  override name = "InfiniteDivergenceError";
}

/** Whether a divergence stays finite where the policy has mass and the target none: when f′(∞) is finite. */
export const toleratesZeros = (divergence: Divergence): boolean => Number.isFinite(divergence.scoreLimits[1]);

/**
 * Throws, saying why and what to do, where the divergence is infinite on a target with hard zeros: each outcome that the target rules out
 * costs f′(∞) times the policy's mass on it, and a policy that can be trained never has none.
 *
 * @throws InfiniteDivergenceError
 */
export function checkZeros(divergence: Divergence, hardZeros: boolean, smoothing = 0): void {
  if (!hardZeros || smoothing > 0 || toleratesZeros(divergence)) return;
  throw new InfiniteDivergenceError(
    `The target gives some outcomes no probability, and ${divergence.name} is infinite there: f′(∞) = ∞, while any policy of finite logits ` +
      "gives them some. Use a divergence with a finite f′(∞) (forward-kl, jensen-shannon, total-variation, alpha:α with α > 0, " +
      "squared-hellinger, neyman-chi2), or smooth the target with its base: smoothing: 0.01 approximates (1 − ε)·p + ε·a.",
  );
}
