/**
 * Solves A·x = b for a symmetric positive semi-definite A [k, k]; directions in which A is all but singular are held back by a ridge of
 * 10⁻¹² of each diagonal entry.
 */
export function solvePositive(matrix: readonly Float64Array[], right: ArrayLike<number>): Float64Array {
  const size = matrix.length;
  const lower = matrix.map((row) => Float64Array.from(row));
  const largest = matrix.reduce((max, row, k) => Math.max(max, row[k]!), 0);
  for (let j = 0; j < size; j++) {
    const diagonal = matrix[j]![j]!;
    const ridge = 1e-12 * (diagonal > 0 ? diagonal : largest || 1);
    let pivot = diagonal + ridge;
    for (let k = 0; k < j; k++) pivot -= lower[j]![k]! ** 2;
    lower[j]![j] = Math.sqrt(Math.max(pivot, ridge));
    for (let i = j + 1; i < size; i++) {
      let sum = matrix[i]![j]!;
      for (let k = 0; k < j; k++) sum -= lower[i]![k]! * lower[j]![k]!;
      lower[i]![j] = sum / lower[j]![j]!;
    }
  }
  const x = Float64Array.from(Array.from(right));
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < i; k++) x[i]! -= lower[i]![k]! * x[k]!;
    x[i]! /= lower[i]![i]!;
  }
  for (let i = size - 1; i >= 0; i--) {
    for (let k = i + 1; k < size; k++) x[i]! -= lower[k]![i]! * x[k]!;
    x[i]! /= lower[i]![i]!;
  }
  return x;
}

/** What is left of each diagonal entry once the entries before it are accounted for: each variance given the variables before. */
export function conditionalVariances(matrix: readonly Float64Array[]): number[] {
  const rest = matrix.map((row) => Float64Array.from(row));
  return rest.map((row, k) => {
    const pivot = Math.max(0, row[k]!);
    if (pivot > 1e-14 * matrix[k]![k]!)
      for (let i = k + 1; i < rest.length; i++) {
        const factor = rest[i]![k]! / pivot;
        for (let j = k + 1; j < rest.length; j++) rest[i]![j]! -= factor * row[j]!;
      }
    return pivot;
  });
}
