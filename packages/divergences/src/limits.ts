import type { Formula } from "./arithmetic.ts";
import { numbers } from "./number-arithmetic.ts";

/** Log-ratios at which a slope is read to tell how fast it falls: far out, and nearer where that overflows. */
const probes = [
  [150, 300, 600],
  [20, 40, 80],
] as const;

/** The integral starts here: past every usual kink, and before sums of exponentials cancel. */
const start = 8;
const step = 1 / 16;

/**
 * lim g(l) as l → side·∞: the formula's own value there, else g(start) + ∫ g′, which is finite when the slope falls off like an
 * exponential or faster than 1/l.
 *
 * @throws RangeError when neither can be told
 */
export function limitAt(g: Formula, slope: Formula, side: 1 | -1, subject: string): number {
  const limit = g(side * Number.POSITIVE_INFINITY, numbers);
  if (!Number.isNaN(limit)) return limit;
  const at = (distance: number) => slope(side * distance, numbers);
  for (const places of probes) {
    const slopes = places.map(at);
    if (slopes.some((y) => !Number.isFinite(y))) continue;
    const tail = integralBeyond(places[2], slopes);
    if (tail === Number.POSITIVE_INFINITY) return side * Math.sign(slopes[2]!) * Number.POSITIVE_INFINITY;
    return g(side * start, numbers) + side * (simpson(at, start, places[2]) + tail);
  }
  throw new RangeError(
    `${subject} has no limit that its formula shows as l → ${side < 0 ? "−" : ""}∞; give it in the definition.`,
  );
}

/** ∫ of a slope beyond the last of three places, each at twice the distance of the one before; infinite when it diverges. */
function integralBeyond(last: number, slopes: number[]): number {
  if (slopes[2] === 0) return 0;
  const [a, b, c] = slopes.map((y) => Math.log(Math.abs(y))) as [number, number, number];
  const [fall, further] = [a - b, b - c];
  // An exponential falls twice as far over twice the distance, a power of l equally far.
  if (fall > 0 && further > 1.5 * fall) return slopes[2]! / (further / (last / 2));
  const power = further / Math.LN2;
  return power > 1.05 ? (slopes[2]! * last) / (power - 1) : Number.POSITIVE_INFINITY;
}

function simpson(f: (x: number) => number, from: number, to: number): number {
  let sum = 0;
  for (let x = from; x < to; x += step) sum += f(x) + 4 * f(x + step / 2) + f(x + step);
  return (sum * step) / 6;
}

/** lim h(l) as l → side·∞: the formula's own value there, else the farthest that is a number. */
export function weightLimit(weight: Formula, side: 1 | -1): number {
  for (const distance of [Number.POSITIVE_INFINITY, 1e4, 600, 80]) {
    const limit = weight(side * distance, numbers);
    if (!Number.isNaN(limit)) return limit;
  }
  return Number.NaN;
}
