import type { Formula } from "./arithmetic.ts";
import { defineDivergence } from "./define-divergence.ts";
import type { Divergence } from "./divergence.ts";
import { jets, slopeOf } from "./jet-arithmetic.ts";
import { limitAt } from "./limits.ts";
import { numbers } from "./number-arithmetic.ts";

export interface GeneratorDefinition {
  name: string;
  aliases?: readonly string[];
  /** A convex f of the ratio u = M/T; f(1) and f′(1) need not be 0. */
  generator: Formula;
  /** f(0) − f(1) + f′(1), after the shift; told from the formula when absent. */
  valueAtZero?: number;
  /** lim f(u)/u as u → ∞ after the shift; told likewise. */
  slopeAtInfinity?: number;
}

/**
 * A divergence from its generator alone: φ = f(eˡ), s = f′(eˡ), h = eˡ·f″(eˡ), the derivatives by exact differentiation of the
 * formula, f shifted so that f(1) = f′(1) = 0.
 *
 * Right everywhere, but with as many digits near l = 0 as the formula keeps; a definition by value, score and weight can keep all.
 *
 * @throws when f is not convex at a sample of ratios, or the name is taken
 */
export function divergenceFromGenerator(
  definition: GeneratorDefinition,
  options: { register?: boolean } = {},
): Divergence {
  const { name, generator } = definition;
  const derivatives = (u: number) => generator({ value: u, first: 1, second: 0 }, jets(numbers));
  for (let l = -12; l <= 12; l += 0.5) {
    const { second } = derivatives(Math.exp(l));
    if (second < -1e-9)
      throw new RangeError(`${name}: the generator is not convex at u = ${Math.exp(l)} (f″ = ${second}).`);
  }
  const atOne = derivatives(1);
  const shifted: Formula = (l, m) => {
    const u = m.exp(l);
    return m.shift(m.subtract(generator(u, m), m.scale(m.expm1(l), atOne.first)), -atOne.value);
  };
  // A jet that starts at u with slope 1 differentiates by u.
  const byRatio: <X>(l: X, m: Parameters<typeof jets<X>>[0]) => { value: X; first: X; second: X } = (
    l,
    m,
  ) => {
    const u = m.exp(l);
    return generator({ value: u, first: m.constant(u, 1), second: m.constant(u, 0) }, jets(m));
  };
  const score: Formula = (l, m) => m.shift(byRatio(l, m).first, -atOne.first);
  const weight: Formula = (l, m) => m.multiply(m.exp(l), byRatio(l, m).second);
  return defineDivergence(
    {
      name,
      ...(definition.aliases && { aliases: definition.aliases }),
      value: shifted,
      score,
      weight,
      valueAtZero: definition.valueAtZero ?? limitAt(shifted, slopeOf(shifted), -1, `${name}: the value`),
      slopeAtInfinity: definition.slopeAtInfinity ?? limitAt(score, weight, 1, `${name}: the score`),
    },
    options,
  );
}
