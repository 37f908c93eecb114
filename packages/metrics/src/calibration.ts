export interface CalibrationBin {
  from: number;
  to: number;
  count: number;
  /** Mean confidence in the bin; NaN-free: the bin's middle when it is empty. */
  confidence: number;
  /** Share of true outcomes; 0 when it is empty. */
  accuracy: number;
}

/**
 * Expected calibration error Σ (n_b/n)·|accuracy_b − confidence_b| over equal-width bins of [0, 1], with the bins themselves
 * (Guo et al. 2017, arXiv 1706.04599, equation 3).
 *
 * @throws RangeError on lengths that differ, no data, or a confidence outside [0, 1]
 */
export function expectedCalibrationError(
  confidences: ArrayLike<number>,
  outcomes: ArrayLike<boolean | number>,
  { bins = 10 }: { bins?: number } = {},
): { ece: number; bins: CalibrationBin[] } {
  const n = confidences.length;
  if (n === 0 || n !== outcomes.length)
    throw new RangeError(`calibration: ${n} confidences and ${outcomes.length} outcomes.`);
  const sums = Array.from({ length: bins }, () => ({ count: 0, confidence: 0, right: 0 }));
  for (let i = 0; i < n; i++) {
    const p = confidences[i]!;
    if (!(p >= 0 && p <= 1)) throw new RangeError(`calibration: confidence ${i} is ${p}, outside [0, 1].`);
    const bin = sums[Math.min(bins - 1, Math.floor(p * bins))]!;
    bin.count++;
    bin.confidence += p;
    bin.right += Number(outcomes[i]);
  }
  const table = sums.map(({ count, confidence, right }, b) => ({
    from: b / bins,
    to: (b + 1) / bins,
    count,
    confidence: count > 0 ? confidence / count : (b + 0.5) / bins,
    accuracy: count > 0 ? right / count : 0,
  }));
  const ece = table.reduce(
    (sum, { count, accuracy, confidence }) => sum + (count / n) * Math.abs(accuracy - confidence),
    0,
  );
  return { ece, bins: table };
}

/** Mean squared difference of confidence and outcome (Brier 1950). */
export function brierScore(confidences: ArrayLike<number>, outcomes: ArrayLike<boolean | number>): number {
  let sum = 0;
  for (let i = 0; i < confidences.length; i++) sum += (confidences[i]! - Number(outcomes[i])) ** 2;
  return sum / confidences.length;
}
