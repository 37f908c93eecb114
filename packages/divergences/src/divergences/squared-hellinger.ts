import { defineDivergence } from "../define-divergence.ts";
import type { Divergence } from "../divergence.ts";

/** Squared Hellinger distance: f(u) = (√u − 1)². */
export const squaredHellinger: Divergence = defineDivergence({
  name: "squared-hellinger",
  aliases: ["hellinger", "sh"],
  value: (l, m) => m.power(m.abs(m.expm1(m.scale(l, 0.5))), 2),
  score: (l, m) => m.scale(m.expm1(m.scale(l, -0.5)), -1),
  weight: (l, m) => m.scale(m.exp(m.scale(l, -0.5)), 0.5),
  valueAtZero: 1,
  slopeAtInfinity: 1,
  inverseScore: (score) => -2 * Math.log1p(-score),
  dual: () => squaredHellinger,
});
