/**
 * Karras' noise levels, σᵢ = (max^{1/ρ} + i/(n−1)·(min^{1/ρ} − max^{1/ρ}))^ρ for i < n and σₙ = 0 (Karras et al. 2022,
 * https://arxiv.org/abs/2206.00364, equation 5).
 *
 * @returns steps + 1 levels, falling, the last one 0
 * @throws RangeError on steps or a range that is none
 */
export function karrasGrid(steps: number, { min = 0.002, max = 80, rho = 7 } = {}): number[] {
  if (!Number.isSafeInteger(steps) || steps < 1)
    throw new RangeError(`karrasGrid: ${steps} steps; expected 1 or more.`);
  if (!(min > 0 && max > min && max < Number.POSITIVE_INFINITY && rho > 0))
    throw new RangeError(`karrasGrid: [${min}, ${max}] with rho ${rho}; expected 0 < min < max and rho > 0.`);
  const [top, bottom] = [max ** (1 / rho), min ** (1 / rho)];
  const levels = Array.from({ length: steps }, (_, i) =>
    i === 0 ? max : (top + (i / (steps - 1)) * (bottom - top)) ** rho,
  );
  return [...levels, 0];
}
