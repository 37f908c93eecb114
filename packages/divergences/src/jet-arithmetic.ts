import type { Arithmetic, Formula } from "./arithmetic.ts";

/** A value together with its first and second derivative with respect to one variable. */
export interface Jet<X> {
  value: X;
  first: X;
  second: X;
}

/**
 * Arithmetic that carries two exact derivatives along (forward-mode differentiation), over numbers or tensors.
 *
 * Chain rule: (g∘a)′ = g′(a)·a′ and (g∘a)″ = g″(a)·a′² + g′(a)·a″.
 */
export function jets<X>(m: Arithmetic<X>): Arithmetic<Jet<X>> {
  const chain = (a: Jet<X>, value: X, slope: X, curvature: X): Jet<X> => ({
    value,
    first: m.multiply(slope, a.first),
    second: m.add(m.multiply(curvature, m.multiply(a.first, a.first)), m.multiply(slope, a.second)),
  });
  const each = (a: Jet<X>, g: (x: X) => X): Jet<X> => ({
    value: g(a.value),
    first: g(a.first),
    second: g(a.second),
  });
  const both = (a: Jet<X>, b: Jet<X>, g: (x: X, y: X) => X): Jet<X> => ({
    value: g(a.value, b.value),
    first: g(a.first, b.first),
    second: g(a.second, b.second),
  });
  const reciprocal = (a: Jet<X>): Jet<X> =>
    chain(a, m.power(a.value, -1), m.scale(m.power(a.value, -2), -1), m.scale(m.power(a.value, -3), 2));
  const signed = (a: Jet<X>): Jet<X> => ({
    value: a.value,
    first: m.constant(a.first, 0),
    second: m.constant(a.second, 0),
  });
  const multiply = (a: Jet<X>, b: Jet<X>): Jet<X> => ({
    value: m.multiply(a.value, b.value),
    first: m.add(m.multiply(a.first, b.value), m.multiply(a.value, b.first)),
    second: m.add(
      m.add(m.multiply(a.second, b.value), m.multiply(a.value, b.second)),
      m.scale(m.multiply(a.first, b.first), 2),
    ),
  });
  const step = (a: X, c: number): X => m.shift(m.scale(m.sign(a), c), Math.abs(c));
  const half = (a: Jet<X>, part: X, c: number): Jet<X> => ({
    value: part,
    first: m.multiply(step(a.value, c), a.first),
    second: m.multiply(step(a.value, c), a.second),
  });
  return {
    add: (a, b) => both(a, b, m.add),
    subtract: (a, b) => both(a, b, m.subtract),
    multiply,
    constant: (a, c) => ({
      value: m.constant(a.value, c),
      first: m.constant(a.first, 0),
      second: m.constant(a.second, 0),
    }),
    divide: (a, b) => multiply(a, reciprocal(b)),
    scale: (a, c) => each(a, (x) => m.scale(x, c)),
    shift: (a, c) => ({ ...a, value: m.shift(a.value, c) }),
    exp: (a) => chain(a, m.exp(a.value), m.exp(a.value), m.exp(a.value)),
    expm1: (a) => chain(a, m.expm1(a.value), m.exp(a.value), m.exp(a.value)),
    expm2: (a) => chain(a, m.expm2(a.value), m.expm1(a.value), m.exp(a.value)),
    log: (a) => chain(a, m.log(a.value), m.power(a.value, -1), m.scale(m.power(a.value, -2), -1)),
    log1p: (a) => {
      const inverse = m.power(m.shift(a.value, 1), -1);
      return chain(a, m.log1p(a.value), inverse, m.scale(m.multiply(inverse, inverse), -1));
    },
    power: (a, c) =>
      chain(
        a,
        m.power(a.value, c),
        m.scale(m.power(a.value, c - 1), c),
        m.scale(m.power(a.value, c - 2), c * (c - 1)),
      ),
    abs: (a) => chain(a, m.abs(a.value), m.sign(a.value), m.constant(a.value, 0)),
    sign: (a) => signed({ ...a, value: m.sign(a.value) }),
    sigmoid: (a) => {
      const p = m.sigmoid(a.value);
      const q = m.sigmoid(m.scale(a.value, -1));
      const slope = m.multiply(p, q);
      return chain(a, p, slope, m.multiply(slope, m.subtract(q, p)));
    },
    negativePart: (a) => half(a, m.negativePart(a.value), -0.5),
    positivePart: (a) => half(a, m.positivePart(a.value), 0.5),
    near: (a, radius, inside, outside) => both(inside, outside, (x, y) => m.near(a.value, radius, x, y)),
  };
}

/** A formula's exact derivative, as a formula. */
export function slopeOf(formula: Formula): Formula {
  return (l, m) => formula({ value: l, first: m.constant(l, 1), second: m.constant(l, 0) }, jets(m)).first;
}
