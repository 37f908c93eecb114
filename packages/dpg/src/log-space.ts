/** log Σ eˣ; −∞ of nothing. */
export function logSumOf(values: ArrayLike<number>): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) if (values[i]! > max) max = values[i]!;
  if (!Number.isFinite(max)) return max;
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Math.exp(values[i]! - max);
  return max + Math.log(sum);
}

/** log(eᵃ + eᵇ). */
export function logAdd(a: number, b: number): number {
  const max = Math.max(a, b);
  if (!Number.isFinite(max)) return max;
  return max + Math.log1p(Math.exp(Math.min(a, b) - max));
}
