import { defineDivergence } from "../define-divergence.ts";
import type { Divergence } from "../divergence.ts";
import { neymanChi2 } from "./neyman-chi2.ts";

/** Pearson's χ², that is χ²(M‖T): f(u) = (u − 1)². */
export const pearsonChi2: Divergence = defineDivergence({
  name: "pearson-chi2",
  aliases: ["pearson", "chi2"],
  value: (l, m) => m.power(m.abs(m.expm1(l)), 2),
  score: (l, m) => m.scale(m.expm1(l), 2),
  weight: (l, m) => m.scale(m.exp(l), 2),
  valueAtZero: 1,
  slopeAtInfinity: Number.POSITIVE_INFINITY,
  inverseScore: (score) => Math.log1p(score / 2),
  dual: () => neymanChi2,
});
