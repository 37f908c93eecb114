import { defineDivergence } from "../define-divergence.ts";
import type { Divergence } from "../divergence.ts";
import { pearsonChi2 } from "./pearson-chi2.ts";

/** Neyman's χ², that is χ²(T‖M): f(u) = (1 − u)²/u. */
export const neymanChi2: Divergence = defineDivergence({
  name: "neyman-chi2",
  aliases: ["neyman", "reverse-chi2"],
  value: (l, m) => m.scale(m.multiply(m.expm1(l), m.expm1(m.scale(l, -1))), -1),
  score: (l, m) => m.scale(m.expm1(m.scale(l, -2)), -1),
  weight: (l, m) => m.scale(m.exp(m.scale(l, -2)), 2),
  valueAtZero: Number.POSITIVE_INFINITY,
  slopeAtInfinity: 1,
  inverseScore: (score) => -Math.log1p(-score) / 2,
  dual: () => pearsonChi2,
});
