import type { Formula } from "./arithmetic.ts";
import type { Interval } from "./divergence.ts";
import { numbers } from "./number-arithmetic.ts";

/**
 * Exponents of e beyond which the functions go on linearly. On tensors e⁴⁰ ≈ 2·10¹⁷ is about the largest number whose square is
 * still a float32, and a gradient's norm squares it; on numbers e³⁵⁰ for the same reason.
 */
export const largestExponent = { tensor: 40, number: 350 } as const;

/** How fast |g(l)| grows towards −∞ and +∞, as exponents per unit of l; 0 for what grows slower than an exponential. */
function growth(g: (l: number) => number): Interval {
  const rate = (near: number, far: number): number => {
    const from = Math.log(Math.abs(g(near)));
    const to = Math.log(Math.abs(g(far)));
    const perUnit = (to - from) / Math.abs(far - near);
    return Number.isFinite(perUnit) && perUnit > 1e-7 ? perUnit : 0;
  };
  return [rate(-15, -30), rate(15, 30)];
}

/** The interval in which a function with this slope stays below e^exponent. */
export function safeInterval(slope: (l: number) => number, exponent: number): Interval {
  const [low, high] = growth(slope);
  return [
    low > 0 ? -exponent / low : Number.NEGATIVE_INFINITY,
    high > 0 ? exponent / high : Number.POSITIVE_INFINITY,
  ];
}

export const onNumbers = (formula: Formula) => (l: number) => formula(l, numbers);
