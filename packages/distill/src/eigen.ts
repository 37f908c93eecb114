/** A symmetric matrix as U·diag(values)·Uᵀ; vectors[j] is the j-th eigenvector. */
export interface Eigen {
  values: number[];
  vectors: number[][];
}

/** Eigenvalues and eigenvectors of a symmetric matrix, by cyclic Jacobi rotations in float64 (Golub & Van Loan, section 8.5). */
export function symmetricEigen(matrix: readonly (readonly number[])[]): Eigen {
  const n = matrix.length;
  const a = matrix.map((row) => [...row]);
  const u = a.map((_, i) => a.map((__, j) => (i === j ? 1 : 0)));
  const off = () => a.reduce((sum, row, i) => sum + row.reduce((s, x, j) => (i === j ? s : s + x * x), 0), 0);
  const scale = a.reduce((sum, row) => sum + row.reduce((s, x) => s + x * x, 0), 0);
  for (let sweep = 0; sweep < 60 && off() > 1e-30 * scale; sweep++)
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) rotate(a, u, p, q);
  return { values: a.map((row, i) => row[i]!), vectors: a.map((_, j) => u.map((row) => row[j]!)) };
}

/** Zeroes a[p][q] by a rotation, which u takes in. */
function rotate(a: number[][], u: number[][], p: number, q: number): void {
  const apq = a[p]![q]!;
  if (apq === 0) return;
  const theta = (a[q]![q]! - a[p]![p]!) / (2 * apq);
  const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  const turn = (x: number[][], row: boolean) => {
    for (let k = 0; k < a.length; k++) {
      const [first, second] = row ? [x[p]![k]!, x[q]![k]!] : [x[k]![p]!, x[k]![q]!];
      const [turned, other] = [c * first - s * second, s * first + c * second];
      if (row) [x[p]![k], x[q]![k]] = [turned, other];
      else [x[k]![p], x[k]![q]] = [turned, other];
    }
  };
  turn(a, false);
  turn(a, true);
  turn(u, false);
}
