/**
 * The sum of the singular values of a matrix [rows × columns], which is overwritten: Householder's reflections from both sides make it bidiagonal (Golub & Kahan 1965), and its singular values
 * are the positive eigenvalues of a tridiagonal matrix without a diagonal, so that none is squared on the way. About 2·rows·columns² products for rows ≥ columns.
 */
export function nuclearNorm(matrix: Float64Array, rows: number, columns: number): number {
  if (rows < columns) {
    const turned = new Float64Array(matrix.length);
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) turned[j * rows + i] = matrix[i * columns + j]!;
    return nuclearNorm(turned, columns, rows);
  }
  if (columns === 0) return 0;
  const offDiagonal = bidiagonalise(matrix, rows, columns);
  let sum = 0;
  for (const value of tridiagonalEigenvalues(offDiagonal)) sum += Math.abs(value) / 2;
  return sum;
}

/** Turns x into a reflection's vector, scaled so that the reflection is I − v·vᵀ; returns what the first entry becomes. Zeros stay. */
function reflection(x: Float64Array, from: number): number {
  let scale = 0;
  for (let i = from; i < x.length; i++) scale = Math.max(scale, Math.abs(x[i]!));
  if (scale === 0) return 0;
  let sum = 0;
  for (let i = from; i < x.length; i++) sum += (x[i]! / scale) ** 2;
  const norm = scale * Math.sqrt(sum);
  const first = x[from]!;
  const becomes = first > 0 ? -norm : norm;
  x[from] = first - becomes;
  const factor = 1 / Math.sqrt(norm) / Math.sqrt(norm + Math.abs(first));
  for (let i = from; i < x.length; i++) x[i] = x[i]! * factor;
  return becomes;
}

/** The diagonal and the one above it of the bidiagonal form, taken in turns: d₀, e₀, d₁, e₁, …, d_{n−1}. */
function bidiagonalise(a: Float64Array, rows: number, columns: number): Float64Array {
  const out = new Float64Array(2 * columns - 1);
  const v = new Float64Array(rows);
  const w = new Float64Array(columns);
  const u = new Float64Array(columns);
  for (let k = 0; k < columns; k++) {
    for (let i = k; i < rows; i++) v[i] = a[i * columns + k]!;
    out[2 * k] = reflection(v, k);
    if (k + 1 === columns) break;
    w.fill(0);
    for (let i = k; i < rows; i += 2) {
      const first = i * columns;
      const second = i + 1 < rows ? first + columns : first;
      const p = v[i]!;
      const q = second === first ? 0 : v[i + 1]!;
      for (let j = k + 1; j < columns; j++) w[j] = w[j]! + p * a[first + j]! + q * a[second + j]!;
    }
    for (let j = k + 1; j < columns; j++) u[j] = a[k * columns + j]! - v[k]! * w[j]!;
    out[2 * k + 1] = reflection(u, k + 1);
    // Both reflections in one pass over the rows that remain, two at a time; a last odd one is its own partner.
    for (let i = k + 1; i < rows; i += 2) {
      const partner = Math.min(i + 1, rows - 1);
      const first = i * columns;
      const second = partner * columns;
      const p = v[i]!;
      const q = v[partner]!;
      let s = 0;
      let t = 0;
      for (let j = k + 1; j < columns; j++) {
        const x = a[first + j]! - p * w[j]!;
        const y = a[second + j]! - q * w[j]!;
        a[first + j] = x;
        a[second + j] = y;
        s += x * u[j]!;
        t += y * u[j]!;
      }
      for (let j = k + 1; j < columns; j++) {
        const x = a[first + j]! - s * u[j]!;
        const y = a[second + j]! - t * u[j]!;
        a[first + j] = x;
        a[second + j] = y;
      }
    }
  }
  return out;
}

/** Eigenvalues of the symmetric tridiagonal matrix without a diagonal, by QL steps with implicit shifts (Golub & Van Loan, section 8.3); exact to the largest's rounding. */
function tridiagonalEigenvalues(offDiagonal: Float64Array): Float64Array {
  const n = offDiagonal.length + 1;
  const d = new Float64Array(n);
  const e = new Float64Array(n);
  e.set(offDiagonal);
  const norm = e.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
  const least = Number.EPSILON * norm;
  for (let l = 0; l < n; l++)
    for (let step = 0; ; step++) {
      let m = l;
      while (m < n - 1 && Math.abs(e[m]!) > least) m++;
      if (m === l) break;
      if (step === 100) throw new Error("nuclearNorm: no singular values after 100 steps.");
      const slope = (d[l + 1]! - d[l]!) / (2 * e[l]!);
      let g = d[m]! - d[l]! + e[l]! / (slope + Math.sign(slope || 1) * Math.hypot(slope, 1));
      let [s, c, p] = [1, 1, 0];
      let i = m - 1;
      for (; i >= l; i--) {
        const [f, b] = [s * e[i]!, c * e[i]!];
        const r = Math.hypot(f, g);
        e[i + 1] = r;
        if (r === 0) {
          d[i + 1] = d[i + 1]! - p;
          e[m] = 0;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1]! - p;
        const turn = (d[i]! - g) * s + 2 * c * b;
        p = s * turn;
        d[i + 1] = g + p;
        g = c * turn - b;
      }
      if (i >= l) continue;
      d[l] = d[l]! - p;
      e[l] = g;
      e[m] = 0;
    }
  return d;
}
