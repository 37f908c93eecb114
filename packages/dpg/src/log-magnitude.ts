import type { Divergence } from "@fdiv/divergences";

type OfLogRatio = (logRatio: number) => number;

const made = new WeakMap<Divergence, OfLogRatio>();

/** The farthest log-ratio on one side up to which the score is its formula, ±∞ where it always is. */
function edge(divergence: Divergence, side: 1 | -1): number {
  let far = side * 1e6;
  if (divergence.saturated(far) === 0) return side * Number.POSITIVE_INFINITY;
  let near = 0;
  for (let i = 0; i < 100; i++) {
    const middle = (near + far) / 2;
    if (divergence.saturated(middle) === 0) near = middle;
    else far = middle;
  }
  return near;
}

/**
 * log |s(l)| of a finite log-ratio, without a largest value: where the score would overflow float64 it grows like an exponential, so its
 * logarithm goes on in a straight line. A product of weight and score is then formed by adding exponents.
 */
export function logMagnitude(divergence: Divergence): OfLogRatio {
  const known = made.get(divergence);
  if (known) return known;
  const { score, weight, saturated } = divergence;
  const edges = [edge(divergence, -1), edge(divergence, 1)] as const;
  const magnitude: OfLogRatio = (l) => {
    if (saturated(l) === 0) return Math.log(Math.abs(score(l)));
    const border = l < 0 ? edges[0] : edges[1];
    return Math.log(Math.abs(score(border))) + Math.abs((l - border) * (weight(border) / score(border)));
  };
  made.set(divergence, magnitude);
  return magnitude;
}
