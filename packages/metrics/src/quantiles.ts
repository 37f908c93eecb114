/** P(X ≤ x) of Student's t by integrating its density from 0 with Simpson's rule. */
function studentCdf(x: number, freedom: number): number {
  const density = (t: number): number => (1 + t ** 2 / freedom) ** (-(freedom + 1) / 2);
  // The constant from the integral itself: the density over (0, ∞) under t = tan θ is a power of cos θ.
  const half = simpson((angle) => Math.cos(angle) ** (freedom - 1), 0, Math.PI / 2) * Math.sqrt(freedom);
  return 0.5 + simpson(density, 0, x) / (2 * half);
}

function simpson(f: (x: number) => number, from: number, to: number, pieces = 2000): number {
  const step = (to - from) / pieces;
  let sum = f(from) + f(to);
  for (let i = 1; i < pieces; i++) sum += (i % 2 === 1 ? 4 : 2) * f(from + i * step);
  return (sum * step) / 3;
}

function bisect(f: (x: number) => number, target: number, high: number): number {
  let low = 0;
  let top = high;
  for (let i = 0; i < 80; i++) {
    const middle = (low + top) / 2;
    if (f(middle) < target) low = middle;
    else top = middle;
  }
  return (low + top) / 2;
}

const normalHalf = (x: number): number =>
  0.5 + simpson((t) => Math.exp(-(t ** 2) / 2), 0, x) / Math.sqrt(2 * Math.PI);

/** The point below which a share p of the standard normal lies, p in [½, 1). */
export function normalQuantile(p: number): number {
  if (!(p >= 0.5 && p < 1)) throw new RangeError(`normalQuantile: ${p} is outside [½, 1).`);
  return bisect(normalHalf, p, 10);
}

/** The point below which a share p of Student's t lies, p in [½, 1). */
export function studentQuantile(p: number, freedom: number): number {
  if (!(p >= 0.5 && p < 1 && freedom >= 1))
    throw new RangeError(`studentQuantile: ${p} with ${freedom} degrees of freedom.`);
  if (freedom > 200) {
    // Cornish–Fisher to the second order: exact to 1e-6 there.
    const z = normalQuantile(p);
    return z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2);
  }
  return bisect((x) => studentCdf(x, freedom), p, 1000 / freedom + 10);
}
