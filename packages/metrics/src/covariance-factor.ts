import type { Rows } from "./row-blocks.ts";

/**
 * Rows G with GᵀG = the positive semi-definite matrix, as many as its rank, by Cholesky's factorisation with pivots (Higham 2002, section 10.3). It stops where what is left is rounding.
 *
 * @param matrix [n × n] in row order
 */
export function covarianceFactor(matrix: ArrayLike<number>, n: number): Rows {
  const columns = new Float64Array(n * n);
  const left = Float64Array.from({ length: n }, (_, i) => matrix[i * n + i]!);
  const least = n * Number.EPSILON * left.reduce((largest, x) => Math.max(largest, x), 0);
  let rank = 0;
  for (; rank < n; rank++) {
    let pivot = 0;
    for (let i = 1; i < n; i++) if (left[i]! > left[pivot]!) pivot = i;
    if (!(left[pivot]! > least)) break;
    const root = Math.sqrt(left[pivot]!);
    const own = columns.subarray(pivot * n, pivot * n + rank);
    for (let i = 0; i < n; i++) {
      // A row that has been a pivot is used up.
      if (left[i] === Number.NEGATIVE_INFINITY) continue;
      const at = i * n;
      let value = matrix[at + pivot]!;
      for (let k = 0; k < rank; k++) value -= columns[at + k]! * own[k]!;
      value = i === pivot ? root : value / root;
      columns[at + rank] = value;
      left[i] = left[i]! - value * value;
    }
    left[pivot] = Number.NEGATIVE_INFINITY;
  }
  const values = new Float64Array(rank * n);
  for (let i = 0; i < n; i++) for (let k = 0; k < rank; k++) values[k * n + i] = columns[i * n + k]!;
  return { values, count: rank, width: n };
}
