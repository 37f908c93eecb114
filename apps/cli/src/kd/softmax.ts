/** exp(xᵢ)/Σexp(xⱼ), from the largest so that nothing overflows. */
export function softmaxOf(x: readonly number[]): number[] {
  const top = Math.max(...x);
  const weights = x.map((value) => Math.exp(value - top));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}
