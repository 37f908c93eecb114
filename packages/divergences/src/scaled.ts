import { defineDivergence } from "./define-divergence.ts";
import type { Divergence } from "./divergence.ts";

/** One object for each, since each has kernels that stay registered. */
const byFactor = new WeakMap<Divergence, Map<number, Divergence>>();

/**
 * c·D_f: value, score and weight times a positive constant.
 *
 * @throws RangeError when the factor is not positive and finite
 */
export function scaled(divergence: Divergence, factor: number): Divergence {
  if (!(factor > 0 && factor < Number.POSITIVE_INFINITY))
    throw new RangeError(`scaled: the factor is ${factor}, expected a positive finite number.`);
  if (factor === 1) return divergence;
  const known = byFactor.get(divergence) ?? new Map<number, Divergence>();
  byFactor.set(divergence, known);
  const made = known.get(factor) ?? makeScaled(divergence, factor);
  known.set(factor, made);
  return made;
}

function makeScaled(divergence: Divergence, factor: number): Divergence {
  const { definition } = divergence;
  return defineDivergence(
    {
      name: `${factor}*${divergence.name}`,
      value: (l, m) => m.scale(definition.value(l, m), factor),
      score: (l, m) => m.scale(definition.score(l, m), factor),
      weight: (l, m) => m.scale(definition.weight(l, m), factor),
      valueAtZero: factor * definition.valueAtZero,
      slopeAtInfinity: factor * definition.slopeAtInfinity,
      scoreAtZero: factor * divergence.scoreLimits[0],
      ...(definition.overflowsBelow && { overflowsBelow: true }),
      inverseScore: (score) => divergence.inverseScore(score / factor),
      dual: () => scaled(divergence.dual(), factor),
    },
    { register: false },
  );
}

/**
 * The divergence divided by f″(1), so that all curve alike at M = T and one β means the same for each.
 *
 * @throws RangeError for one without curvature, such as total variation
 */
export function normalised(divergence: Divergence): Divergence {
  if (!(divergence.curvature > 0))
    throw new RangeError(`normalised: ${divergence.name} has no curvature at equality to divide by.`);
  return scaled(divergence, 1 / divergence.curvature);
}
