import { defineDivergence } from "../define-divergence.ts";
import type { Divergence } from "../divergence.ts";
import { logHalfSum } from "../pieces.ts";
import { forwardKl } from "./forward-kl.ts";
import { jensenShannon } from "./jensen-shannon.ts";
import { reverseKl } from "./reverse-kl.ts";

/** Softened reverse KL: f(u) = (1 + u) log((1 + u)/2) − u + 1, what reverse KL has beyond Jensen–Shannon. */
export const softenedReverseKl: Divergence = defineDivergence({
  name: "softened-reverse-kl",
  aliases: ["srkl", "softened-rkl"],
  // The difference halves the leading term near 0; the direct form would cancel it away.
  value: (l, m) => m.subtract(reverseKl.definition.value(l, m), jensenShannon.definition.value(l, m)),
  score: (l, m) => logHalfSum(l, m),
  weight: (l, m) => m.sigmoid(l),
  valueAtZero: 1 - Math.LN2,
  slopeAtInfinity: Number.POSITIVE_INFINITY,
  inverseScore: (score) => Math.log(Math.expm1(score + Math.LN2)),
  dual: () => softenedForwardKl,
});

/** Its dual, what forward KL has beyond Jensen–Shannon: f(u) = (1 + u) log((1 + u)/(2u)) + u − 1. */
export const softenedForwardKl: Divergence = defineDivergence({
  name: "softened-forward-kl",
  aliases: ["sfkl", "softened-fkl"],
  value: (l, m) => m.subtract(forwardKl.definition.value(l, m), jensenShannon.definition.value(l, m)),
  score: (l, m) => m.subtract(logHalfSum(m.scale(l, -1), m), m.expm1(m.scale(l, -1))),
  weight: (l, m) => m.multiply(m.exp(m.scale(l, -1)), m.sigmoid(m.scale(l, -1))),
  valueAtZero: Number.POSITIVE_INFINITY,
  slopeAtInfinity: 1 - Math.LN2,
  dual: () => softenedReverseKl,
});
