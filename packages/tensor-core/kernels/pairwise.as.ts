import { slot } from "./gemm.as";
import { madd } from "./multiply-add.as";
import { sum4 } from "./vector-math.as";

// Distances between the rows of two matrices, without their differences ever being in memory.

/** Rows of a task. */
export const pairwiseRows = 16;
/** Columns that are gone through at a time. */
const span = 1024;

// @ts-ignore: decorator
@inline
function term(d: v128, sum: v128, squared: bool): v128 {
  return squared ? madd(d, d, sum) : f32x4.add(sum, f32x4.abs(d));
}

/** Four rows of x against two of y. */
// @ts-ignore: decorator
@inline
function tile(x: usize, y: usize, bytes: usize, width: i32, out: usize, outBytes: usize, squared: bool): void {
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let b2 = f32x4.splat(0);
  let b3 = f32x4.splat(0);
  for (let v = 0; v < width; v += 4) {
    const p = <usize>v << 2;
    const y0 = v128.load(y + p);
    const y1 = v128.load(y + bytes + p);
    const x0 = v128.load(x + p);
    a0 = term(f32x4.sub(x0, y0), a0, squared);
    b0 = term(f32x4.sub(x0, y1), b0, squared);
    const x1 = v128.load(x + bytes + p);
    a1 = term(f32x4.sub(x1, y0), a1, squared);
    b1 = term(f32x4.sub(x1, y1), b1, squared);
    const x2 = v128.load(x + 2 * bytes + p);
    a2 = term(f32x4.sub(x2, y0), a2, squared);
    b2 = term(f32x4.sub(x2, y1), b2, squared);
    const x3 = v128.load(x + 3 * bytes + p);
    a3 = term(f32x4.sub(x3, y0), a3, squared);
    b3 = term(f32x4.sub(x3, y1), b3, squared);
  }
  add(out, a0, b0);
  add(out + outBytes, a1, b1);
  add(out + 2 * outBytes, a2, b2);
  add(out + 3 * outBytes, a3, b3);
}

// @ts-ignore: decorator
@inline
function add(out: usize, a: v128, b: v128): void {
  store<f32>(out, load<f32>(out) + sum4(a));
  store<f32>(out, load<f32>(out, 4) + sum4(b), 4);
}

// @ts-ignore: decorator
@inline
function single(x: usize, y: usize, from: i32, width: i32, out: usize, squared: bool): void {
  let sum4s = f32x4.splat(0);
  let v = from;
  for (; v + 4 <= width; v += 4) {
    const p = <usize>v << 2;
    sum4s = term(f32x4.sub(v128.load(x + p), v128.load(y + p)), sum4s, squared);
  }
  let total = sum4(sum4s);
  for (; v < width; v++) {
    const d = load<f32>(x + (<usize>v << 2)) - load<f32>(y + (<usize>v << 2));
    total += squared ? d * d : abs<f32>(d);
  }
  store<f32>(out, load<f32>(out) + total);
}

function block(x: usize, y: usize, out: usize, rows: i32, m: i32, size: i32, squared: bool): void {
  const bytes = <usize>size << 2;
  const outBytes = <usize>m << 2;
  for (let from = 0; from < size; from += span) {
    const width = min(span, size - from);
    const whole = width & ~3;
    const shift = <usize>from << 2;
    for (let j = 0; j < m; j += 2)
      for (let i = 0; i < rows; i += 4) {
        const xAt = x + <usize>i * bytes + shift;
        const yAt = y + <usize>j * bytes + shift;
        const outAt = out + <usize>i * outBytes + (<usize>j << 2);
        const isWhole = i + 4 <= rows && j + 2 <= m;
        if (isWhole) {
          if (squared) tile(xAt, yAt, bytes, whole, outAt, outBytes, true);
          else tile(xAt, yAt, bytes, whole, outAt, outBytes, false);
          if (whole == width) continue;
        }
        for (let r = 0; r < min(4, rows - i); r++)
          for (let s = 0; s < min(2, m - j); s++)
            single(
              xAt + <usize>r * bytes,
              yAt + <usize>s * bytes,
              isWhole ? whole : 0,
              width,
              outAt + <usize>r * outBytes + (<usize>s << 2),
              squared,
            );
      }
  }
}

/** x [B, n, V], y [B, m, V], out [B, n, m], n, m, V, squared */
export function pairwiseDistance(args: usize, task: i32): void {
  const n = slot(args, 3);
  const m = slot(args, 4);
  const size = slot(args, 5);
  const blocks = (n + pairwiseRows - 1) / pairwiseRows;
  const problem = task / blocks;
  const from = (task % blocks) * pairwiseRows;
  const rows = min(pairwiseRows, n - from);
  const x = <usize>slot(args, 0) + (<usize>(problem * n + from) * <usize>size << 2);
  const y = <usize>slot(args, 1) + (<usize>problem * <usize>m * <usize>size << 2);
  const out = <usize>slot(args, 2) + (<usize>(problem * n + from) * <usize>m << 2);
  memory.fill(out, 0, <usize>rows * <usize>m << 2);
  block(x, y, out, rows, m, size, slot(args, 6) != 0);
}

/** g with the sign of x − y, 0 where they are equal */
// @ts-ignore: decorator
@inline
function signed(x: v128, y: v128, g: v128): v128 {
  const d = f32x4.sub(x, y);
  const turned = v128.xor(g, v128.and(d, i32x4.splat(0x80000000)));
  return v128.andnot(turned, f32x4.eq(d, f32x4.splat(0)));
}

// @ts-ignore: decorator
@inline
function signed1(x: f32, y: f32, g: f32): f32 {
  return x > y ? g : x < y ? -g : 0;
}

/** d [B, n, m] (with strides), x [B, n, V], y [B, m, V], dx [B, n, V], n, m, V, row and column stride of d: dx = Σⱼ d·sign(x − y) */
export function pairwiseL1Grad(args: usize, task: i32): void {
  const n = slot(args, 4);
  const m = slot(args, 5);
  const size = slot(args, 6);
  const rowStride = <usize>slot(args, 7) << 2;
  const columnStride = <usize>slot(args, 8) << 2;
  const bytes = <usize>size << 2;
  const blocks = (n + pairwiseRows - 1) / pairwiseRows;
  const problem = task / blocks;
  const first = (task % blocks) * pairwiseRows;
  const rows = min(pairwiseRows, n - first);
  const d = <usize>slot(args, 0) + (<usize>problem * <usize>n * <usize>m << 2) + <usize>first * rowStride;
  const x = <usize>slot(args, 1) + <usize>(problem * n + first) * bytes;
  const y = <usize>slot(args, 2) + <usize>problem * <usize>m * bytes;
  const dx = <usize>slot(args, 3) + <usize>(problem * n + first) * bytes;
  memory.fill(dx, 0, <usize>rows * bytes);
  for (let from = 0; from < size; from += span) {
    const width = min(span, size - from);
    const shift = <usize>from << 2;
    for (let j = 0; j < m; j += 4) {
      const height = min(4, m - j);
      const y0 = y + <usize>j * bytes + shift;
      // A row that is not there stands for the last, with weight 0.
      const y1 = height > 1 ? y0 + bytes : y0;
      const y2 = height > 2 ? y1 + bytes : y1;
      const y3 = height > 3 ? y2 + bytes : y2;
      for (let i = 0; i < rows; i++) {
        const dAt = d + <usize>i * rowStride + <usize>j * columnStride;
        const g0 = load<f32>(dAt);
        const g1: f32 = height > 1 ? load<f32>(dAt + columnStride) : 0;
        const g2: f32 = height > 2 ? load<f32>(dAt + 2 * columnStride) : 0;
        const g3: f32 = height > 3 ? load<f32>(dAt + 3 * columnStride) : 0;
        const w0 = f32x4.splat(g0);
        const w1 = f32x4.splat(g1);
        const w2 = f32x4.splat(g2);
        const w3 = f32x4.splat(g3);
        const xAt = x + <usize>i * bytes + shift;
        const outAt = dx + <usize>i * bytes + shift;
        let v = 0;
        for (; v + 4 <= width; v += 4) {
          const p = <usize>v << 2;
          const x4 = v128.load(xAt + p);
          const near = f32x4.add(signed(x4, v128.load(y0 + p), w0), signed(x4, v128.load(y1 + p), w1));
          const far = f32x4.add(signed(x4, v128.load(y2 + p), w2), signed(x4, v128.load(y3 + p), w3));
          v128.store(outAt + p, f32x4.add(v128.load(outAt + p), f32x4.add(near, far)));
        }
        for (; v < width; v++) {
          const p = <usize>v << 2;
          const x1 = load<f32>(xAt + p);
          const near = signed1(x1, load<f32>(y0 + p), g0) + signed1(x1, load<f32>(y1 + p), g1);
          const far = signed1(x1, load<f32>(y2 + p), g2) + signed1(x1, load<f32>(y3 + p), g3);
          store<f32>(outAt + p, load<f32>(outAt + p) + (near + far));
        }
      }
    }
  }
}
