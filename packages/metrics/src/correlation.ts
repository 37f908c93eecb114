function checkSides(what: string, x: ArrayLike<number>, y: ArrayLike<number>): void {
  if (x.length !== y.length || x.length < 2)
    throw new RangeError(`${what}: ${x.length} and ${y.length} values; both need the same, two or more.`);
}

/** Pearson's correlation; NaN where either side does not vary. @throws RangeError on lengths */
export function pearsonCorrelation(x: ArrayLike<number>, y: ArrayLike<number>): number {
  checkSides("pearsonCorrelation", x, y);
  const mean = (values: ArrayLike<number>): number =>
    Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
  const [mx, my] = [mean(x), mean(y)];
  let [xx, yy, xy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const [dx, dy] = [x[i]! - mx, y[i]! - my];
    xx += dx * dx;
    yy += dy * dy;
    xy += dx * dy;
  }
  return xy / Math.sqrt(xx * yy);
}

/** Ranks from 1; equal values share the mean of theirs. */
function ranks(values: ArrayLike<number>): Float64Array {
  const order = Array.from({ length: values.length }, (_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const found = new Float64Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to + 1 < order.length && values[order[to + 1]!] === values[order[from]!]) to++;
    for (let at = from; at <= to; at++) found[order[at]!] = (from + to) / 2 + 1;
    from = to + 1;
  }
  return found;
}

/** Spearman's correlation, Pearson's of the ranks, with ties; NaN where either side does not vary or a value is NaN. */
export function spearmanCorrelation(x: ArrayLike<number>, y: ArrayLike<number>): number {
  checkSides("spearmanCorrelation", x, y);
  if ([...Array.from(x), ...Array.from(y)].some(Number.isNaN)) return Number.NaN;
  return pearsonCorrelation(ranks(x), ranks(y));
}
