/** Rows [count × width] in row order. */
export interface Rows {
  values: Float64Array;
  count: number;
  width: number;
}

/** Columns, and rows of b, that are read again and again while they lie in the processor's cache. */
const strip = 512;
const tall = 64;

/** Adds to out[i, j … ] what columns `from` to `to` of rows of a and b give. */
type Kernel = (out: Float64Array, a: Rows, b: Rows, i: number, j: number, from: number, to: number) => void;

/** Calls `block` on 2 × 4 rows of a and b, `single` on what is over, one strip of columns after the other. */
function overBlocks(
  out: Float64Array,
  a: Rows,
  b: Rows,
  { block, single, lower = false }: { block: Kernel; single: Kernel; lower?: boolean },
): void {
  for (let from = 0; from < a.width; from += strip) {
    const to = Math.min(a.width, from + strip);
    for (let first = 0; first < b.count; first += tall) {
      const last = Math.min(b.count, first + tall);
      // Of a symmetric result what is on and below the diagonal, and what blocks across it hold besides.
      let i = lower ? first : 0;
      for (; i + 1 < a.count; i += 2) {
        const end = lower ? Math.min(last, i + 2) : last;
        let j = first;
        for (; j < end && j + 3 < last; j += 4) block(out, a, b, i, j, from, to);
        for (; j < end; j++) {
          single(out, a, b, i, j, from, to);
          single(out, a, b, i + 1, j, from, to);
        }
      }
      if (i < a.count) for (let j = first; j < last; j++) single(out, a, b, i, j, from, to);
    }
  }
}

function productBlock(out: Float64Array, a: Rows, b: Rows, i: number, j: number, from: number, to: number) {
  const { values: x, width: w } = a;
  const { values: y, count: n } = b;
  const x0 = i * w;
  const x1 = x0 + w;
  const y0 = j * w;
  const y1 = y0 + w;
  const y2 = y1 + w;
  const y3 = y2 + w;
  const at = i * n + j;
  const below = at + n;
  let c00 = out[at]!;
  let c01 = out[at + 1]!;
  let c02 = out[at + 2]!;
  let c03 = out[at + 3]!;
  let c10 = out[below]!;
  let c11 = out[below + 1]!;
  let c12 = out[below + 2]!;
  let c13 = out[below + 3]!;
  for (let k = from; k < to; k++) {
    const u = x[x0 + k]!;
    const v = x[x1 + k]!;
    const z0 = y[y0 + k]!;
    const z1 = y[y1 + k]!;
    const z2 = y[y2 + k]!;
    const z3 = y[y3 + k]!;
    c00 += u * z0;
    c01 += u * z1;
    c02 += u * z2;
    c03 += u * z3;
    c10 += v * z0;
    c11 += v * z1;
    c12 += v * z2;
    c13 += v * z3;
  }
  out[at] = c00;
  out[at + 1] = c01;
  out[at + 2] = c02;
  out[at + 3] = c03;
  out[below] = c10;
  out[below + 1] = c11;
  out[below + 2] = c12;
  out[below + 3] = c13;
}

function productSingle(out: Float64Array, a: Rows, b: Rows, i: number, j: number, from: number, to: number) {
  const { values: x, width: w } = a;
  const { values: y, count: n } = b;
  let sum = out[i * n + j]!;
  for (let k = from; k < to; k++) sum += x[i * w + k]! * y[j * w + k]!;
  out[i * n + j] = sum;
}

function distanceBlock(out: Float64Array, a: Rows, b: Rows, i: number, j: number, from: number, to: number) {
  const { values: x, width: w } = a;
  const { values: y, count: n } = b;
  const x0 = i * w;
  const x1 = x0 + w;
  const y0 = j * w;
  const y1 = y0 + w;
  const y2 = y1 + w;
  const y3 = y2 + w;
  const at = i * n + j;
  const below = at + n;
  let c00 = out[at]!;
  let c01 = out[at + 1]!;
  let c02 = out[at + 2]!;
  let c03 = out[at + 3]!;
  let c10 = out[below]!;
  let c11 = out[below + 1]!;
  let c12 = out[below + 2]!;
  let c13 = out[below + 3]!;
  for (let k = from; k < to; k++) {
    const u = x[x0 + k]!;
    const v = x[x1 + k]!;
    const z0 = y[y0 + k]!;
    const z1 = y[y1 + k]!;
    const z2 = y[y2 + k]!;
    const z3 = y[y3 + k]!;
    c00 += (u - z0) * (u - z0);
    c01 += (u - z1) * (u - z1);
    c02 += (u - z2) * (u - z2);
    c03 += (u - z3) * (u - z3);
    c10 += (v - z0) * (v - z0);
    c11 += (v - z1) * (v - z1);
    c12 += (v - z2) * (v - z2);
    c13 += (v - z3) * (v - z3);
  }
  out[at] = c00;
  out[at + 1] = c01;
  out[at + 2] = c02;
  out[at + 3] = c03;
  out[below] = c10;
  out[below + 1] = c11;
  out[below + 2] = c12;
  out[below + 3] = c13;
}

function distanceSingle(out: Float64Array, a: Rows, b: Rows, i: number, j: number, from: number, to: number) {
  const { values: x, width: w } = a;
  const { values: y, count: n } = b;
  let sum = out[i * n + j]!;
  for (let k = from; k < to; k++) {
    const t = x[i * w + k]! - y[j * w + k]!;
    sum += t * t;
  }
  out[i * n + j] = sum;
}

/**
 * Adds a·bᵀ to `out` [a.count × b.count].
 *
 * @param lower a and b are the same rows: only the lower triangle is asked for
 */
export function addProducts(out: Float64Array, a: Rows, b: Rows, lower = false): void {
  overBlocks(out, a, b, { block: productBlock, single: productSingle, lower });
}

/** Sets `out` [a.count × b.count] to the squared distances of rows, each summed from the first column to the last. */
export function squaredDistances(out: Float64Array, a: Rows, b: Rows): void {
  out.fill(0, 0, a.count * b.count);
  overBlocks(out, a, b, { block: distanceBlock, single: distanceSingle });
}
