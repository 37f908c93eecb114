import { defineDivergence } from "../define-divergence.ts";
import type { Divergence } from "../divergence.ts";
import { tilted } from "../pieces.ts";
import { forwardKl } from "./forward-kl.ts";

/** KL(M‖T), mode seeking: f(u) = u log u − u + 1. The usual penalty of RLHF, and DPO's. */
export const reverseKl: Divergence = defineDivergence({
  name: "reverse-kl",
  aliases: ["rkl", "kl"],
  value: (l, m) => tilted(l, 1, m),
  score: (l) => l,
  weight: (l, m) => m.constant(l, 1),
  valueAtZero: 1,
  slopeAtInfinity: Number.POSITIVE_INFINITY,
  inverseScore: (score) => score,
  dual: () => forwardKl,
});
