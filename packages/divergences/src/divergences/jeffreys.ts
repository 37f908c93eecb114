import { defineDivergence } from "../define-divergence.ts";
import type { Divergence } from "../divergence.ts";

/** Jeffreys divergence, KL(M‖T) + KL(T‖M): f(u) = (u − 1) log u. */
export const jeffreys: Divergence = defineDivergence({
  name: "jeffreys",
  aliases: ["symmetric-kl"],
  value: (l, m) => m.multiply(l, m.expm1(l)),
  score: (l, m) => m.subtract(l, m.expm1(m.scale(l, -1))),
  weight: (l, m) => m.shift(m.exp(m.scale(l, -1)), 1),
  valueAtZero: Number.POSITIVE_INFINITY,
  slopeAtInfinity: Number.POSITIVE_INFINITY,
  dual: () => jeffreys,
});
