import type { Formula } from "../arithmetic.ts";
import { defineDivergence } from "../define-divergence.ts";
import type { Divergence } from "../divergence.ts";
import { tilted } from "../pieces.ts";
import { registerFamily } from "../registry.ts";
import { forwardKl } from "./forward-kl.ts";
import { reverseKl } from "./reverse-kl.ts";

/** φ for α ≥ ½ through γ = 1 − α: (e₂(l) − e₂(γl)/γ)/α with e₂(x) = eˣ − 1 − x, which never cancels to nothing. */
const upperValue =
  (alpha: number): Formula =>
  (l, m) => {
    const gamma = 1 - alpha;
    return m.scale(m.subtract(m.expm2(l), m.scale(m.expm2(m.scale(l, gamma)), 1 / gamma)), 1 / alpha);
  };

/** φ for α < ½, as eˡ·φ_{1−α}(−l): the direct form loses digits as α → 0. */
const lowerValue =
  (alpha: number): Formula =>
  (l, m) =>
    m.scale(m.subtract(tilted(l, 1, m), m.scale(tilted(l, alpha, m), 1 / alpha)), 1 / (1 - alpha));

/**
 * The α-divergence of any real α: f(u) = (u^{1−α} − (1−α)u − α)/(α(α−1)); reverse KL at 0, forward KL at 1, and continuous there.
 *
 * f-DPG's α, and TRL's `f_alpha_divergence_coef` since February 2026, are 1 − α here.
 *
 * @throws RangeError when α is no finite number
 */
export function alpha(alpha: number): Divergence {
  if (!Number.isFinite(alpha)) throw new RangeError(`alpha: α is ${alpha}, expected a finite number.`);
  if (alpha === 0) return reverseKl;
  if (alpha === 1) return forwardKl;
  const made = byParameter.get(alpha) ?? makeAlpha(alpha);
  byParameter.set(alpha, made);
  return made;
}

/** One object for each α, since each has kernels that stay registered. */
const byParameter = new Map<number, Divergence>();

function makeAlpha(alpha: number): Divergence {
  return defineDivergence(
    {
      name: `alpha:${alpha}`,
      value: alpha >= 0.5 ? upperValue(alpha) : lowerValue(alpha),
      score: (l, m) => m.scale(m.expm1(m.scale(l, -alpha)), -1 / alpha),
      weight: (l, m) => m.exp(m.scale(l, -alpha)),
      valueAtZero: alpha < 1 ? 1 / (1 - alpha) : Number.POSITIVE_INFINITY,
      slopeAtInfinity: alpha > 0 ? 1 / alpha : Number.POSITIVE_INFINITY,
      inverseScore: (score) => -Math.log1p(-alpha * score) / alpha,
      dual: () => dualAlpha(alpha),
    },
    { register: false },
  );
}

const dualAlpha = (value: number): Divergence => alpha(1 - value);

registerFamily("alpha", (parameter) => alpha(parameter));
