import { defineDivergence } from "../define-divergence.ts";
import type { Divergence } from "../divergence.ts";
import { logCosh, logHalfSum } from "../pieces.ts";

/**
 * Jensen–Shannon in the papers' sum form, KL(M‖A) + KL(T‖A) with A = (M + T)/2, twice the usual JSD:
 * f(u) = u log u − (u + 1) log((u + 1)/2).
 */
export const jensenShannon: Divergence = defineDivergence({
  name: "jensen-shannon",
  aliases: ["js", "jsd"],
  // With t = l/2: t(eˡ − 1) − (eˡ + 1) log cosh t, which cancels by half at most near 0.
  value: (l, m) => {
    const t = m.scale(l, 0.5);
    return m.subtract(m.multiply(t, m.expm1(l)), m.multiply(m.shift(m.exp(l), 1), logCosh(t, m)));
  },
  score: (l, m) => m.scale(logHalfSum(m.scale(l, -1), m), -1),
  weight: (l, m) => m.sigmoid(m.scale(l, -1)),
  valueAtZero: Math.LN2,
  slopeAtInfinity: Math.LN2,
  inverseScore: (score) => -Math.log(Math.expm1(Math.LN2 - score)),
  dual: () => jensenShannon,
});
