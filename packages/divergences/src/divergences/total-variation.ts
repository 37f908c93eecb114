import { defineDivergence } from "../define-divergence.ts";
import type { Divergence } from "../divergence.ts";

/** Total variation: f(u) = ½|u − 1|. Its score jumps at 0 and its weight is 0 elsewhere. */
export const totalVariation: Divergence = defineDivergence({
  name: "total-variation",
  aliases: ["tv", "tvd"],
  value: (l, m) => m.scale(m.abs(m.expm1(l)), 0.5),
  score: (l, m) => m.scale(m.sign(l), 0.5),
  weight: (l, m) => m.constant(l, 0),
  valueAtZero: 0.5,
  slopeAtInfinity: 0.5,
  dual: () => totalVariation,
});
