import type { Arithmetic } from "./arithmetic.ts";

/** log((1 + eˡ)/2) without overflow, accurate near 0 where it is l/2. */
export function logHalfSum<X>(l: X, m: Arithmetic<X>): X {
  const decay = m.expm1(m.scale(m.abs(l), -1));
  return m.add(m.positivePart(l), m.log1p(m.scale(decay, 0.5)));
}

/** log cosh t without overflow, accurate near 0 where it is t²/2. */
export function logCosh<X>(t: X, m: Arithmetic<X>): X {
  // The branch that is only read near 0 gets 0 elsewhere: it would overflow there.
  const small = m.near(t, 1, t, m.constant(t, 0));
  const inner = m.expm1(small);
  // cosh t − 1 = (eᵗ − 1)²/(2eᵗ)
  const excess = m.scale(m.divide(m.multiply(inner, inner), m.shift(inner, 1)), 0.5);
  const size = m.abs(t);
  const far = m.shift(m.add(size, m.log1p(m.exp(m.scale(size, -2)))), -Math.LN2);
  return m.near(t, 1, m.log1p(excess), far);
}

/** eˡ·(e^{−al} − 1 + al) without overflow at either end, accurate near 0 where it is (al)²/2. */
export function tilted<X>(l: X, a: number, m: Arithmetic<X>): X {
  const exponent = m.scale(l, a);
  const inside = m.multiply(m.exp(l), m.expm2(m.scale(exponent, -1)));
  const outside = m.add(m.exp(m.scale(l, 1 - a)), m.multiply(m.exp(l), m.shift(exponent, -1)));
  return m.near(exponent, 1, inside, outside);
}
