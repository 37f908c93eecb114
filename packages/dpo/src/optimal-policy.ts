import type { Divergence } from "@fdiv/divergences";
import { checkAdmissible } from "./admissibility.ts";

/**
 * The policy that maximises E_π[r] − β·D_f(π‖π_ref) over an enumerable support: π⋆ = π_ref·exp(s⁻¹((r − λ)/β)) with λ such that it
 * sums to 1 (arXiv 2309.16240, theorem 1), found by bisection.
 *
 * @returns probabilities
 * @throws InadmissibleDivergenceError, where the formula does not hold; RangeError on lengths, beta, or a reference that is no distribution
 *   with mass everywhere
 */
export function optimalPolicy(
  reference: readonly number[],
  rewards: readonly number[],
  beta: number,
  divergence: Divergence,
): number[] {
  checkAdmissible(divergence);
  if (reference.length !== rewards.length || reference.length === 0)
    throw new RangeError(`optimalPolicy: ${reference.length} probabilities and ${rewards.length} rewards.`);
  if (!(beta > 0)) throw new RangeError(`optimalPolicy: beta is ${beta}, expected a positive number.`);
  reference.forEach((probability, i) => {
    if (!(probability > 0))
      throw new RangeError(
        `optimalPolicy: the reference gives outcome ${i} the probability ${probability}; leave out what it never yields.`,
      );
  });
  const referenceMass = reference.reduce((sum, p) => sum + p, 0);
  if (!(Math.abs(referenceMass - 1) < 1e-6))
    throw new RangeError(`optimalPolicy: the reference sums to ${referenceMass}, not to 1.`);
  const top = divergence.scoreLimits[1];
  const at = (lambda: number): number[] =>
    rewards.map((reward, i) => {
      const score = (reward - lambda) / beta;
      return score >= top
        ? Number.POSITIVE_INFINITY
        : reference[i]! * Math.exp(divergence.inverseScore(score));
    });
  const mass = (lambda: number): number => at(lambda).reduce((sum, p) => sum + p, 0);
  // At λ = max r no score is positive, so no ratio is above 1; at λ = min r none is below.
  let low = Math.min(...rewards);
  let high = Math.max(...rewards);
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (mass(middle) > 1) low = middle;
    else high = middle;
  }
  const policy = at(high);
  const total = policy.reduce((sum, p) => sum + p, 0);
  return policy.map((p) => p / total);
}
