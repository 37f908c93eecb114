/**
 * The operations that a divergence is written in. One definition `(l, m) => m.expm1(l)` is then read on numbers (float64),
 * on tensors (float32) and on jets (values with two exact derivatives).
 */
export interface Arithmetic<X> {
  add(a: X, b: X): X;
  subtract(a: X, b: X): X;
  multiply(a: X, b: X): X;
  divide(a: X, b: X): X;
  /** The number c, in the shape of a; whatever a is, infinite or NaN. */
  constant(a: X, c: number): X;
  /** a·c */
  scale(a: X, c: number): X;
  /** a + c */
  shift(a: X, c: number): X;
  exp(a: X): X;
  /** eᵃ − 1, accurate near 0. */
  expm1(a: X): X;
  /** eᵃ − 1 − a, accurate near 0, where it is a²/2. */
  expm2(a: X): X;
  log(a: X): X;
  /** log(1 + a), accurate near 0. */
  log1p(a: X): X;
  /** aᶜ for a ≥ 0. */
  power(a: X, c: number): X;
  abs(a: X): X;
  /** −1, 0 or 1. */
  sign(a: X): X;
  /** 1/(1 + e⁻ᵃ) */
  sigmoid(a: X): X;
  /** The smaller of a and 0. */
  negativePart(a: X): X;
  /** The larger of a and 0. */
  positivePart(a: X): X;
  /** `inside` where |a| < radius and `outside` elsewhere; the one not chosen may be anything, even NaN. */
  near(a: X, radius: number, inside: X, outside: X): X;
}

/** A function of one variable, written once for numbers, tensors and jets. */
export type Formula = <X>(x: X, m: Arithmetic<X>) => X;
