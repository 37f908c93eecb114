import { defineDivergence } from "../define-divergence.ts";
import type { Divergence } from "../divergence.ts";
import { reverseKl } from "./reverse-kl.ts";

/** KL(T‖M), mass covering: f(u) = −log u + u − 1. */
export const forwardKl: Divergence = defineDivergence({
  name: "forward-kl",
  aliases: ["fkl"],
  value: (l, m) => m.expm2(l),
  score: (l, m) => m.scale(m.expm1(m.scale(l, -1)), -1),
  weight: (l, m) => m.exp(m.scale(l, -1)),
  valueAtZero: Number.POSITIVE_INFINITY,
  slopeAtInfinity: 1,
  inverseScore: (score) => -Math.log1p(-score),
  dual: () => reverseKl,
});
