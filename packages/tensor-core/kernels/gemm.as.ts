import { activate4 } from "./activation.as";
import { packHalfPanel } from "./half.as";
import { madd } from "./multiply-add.as";
import { packRows, transpose4 } from "./packing.as";
import { tile } from "./tile.as";

// C = op(A)·op(B): both operands are packed, which absorbs every transpose, into panels that a 6 × 8 tile of C walks along.

/** Elements of K done at a time, so that a panel of B, 8 × 4 × 512 bytes, stays in the first-level cache. */
const depth = 512;
/** Most rows of C a task does. */
export const rowBlock = 48;

// Arguments, by slot.
const A = 0;
const B = 1;
const C = 2;
const M = 3;
const N = 4;
const K = 5;
const A_ROW = 6; // bytes between rows of op(A)
const A_COLUMN = 7;
const B_ROW = 8;
const B_COLUMN = 9;
const PACKED = 10; // packed B
const SCRATCH = 11; // of each worker: packed A, then a tile
const SCRATCH_BYTES = 12;
const FIRST = 13; // first column of this chunk of B
const COLUMNS = 14; // how many
const ACCUMULATE = 15;
const BIAS = 16;
const ACTIVATION = 17;
const PREACTIVATION = 18;
const ROWS = 19; // of C a task does, a multiple of 6
const SPLIT = 20; // columns of C a task does, a multiple of 8
const HALF = 21; // whether B is in bfloat16; only where it is packed

// @ts-ignore: decorator
@inline
export function slot(args: usize, i: i32): i32 {
  return load<i32>(args + (<usize>i << 2));
}

/** Packs one panel of eight columns, short ones filled with zeros: element (k, c) at 8k + c. */
export function packPanel(args: usize, panel: i32): void {
  const k = slot(args, K);
  const row = <usize>slot(args, B_ROW);
  const column = <usize>slot(args, B_COLUMN);
  const width = min(8, slot(args, COLUMNS) - panel * 8);
  let to = <usize>slot(args, PACKED) + <usize>panel * <usize>k * 32;
  let from = <usize>slot(args, B) + <usize>(slot(args, FIRST) + panel * 8) * column;
  if (slot(args, HALF) != 0) return packHalfPanel(from, row, column, width, k, to);
  if (width == 8 && column == 4) {
    for (let i = 0; i < k; i++) {
      v128.store(to, v128.load(from));
      v128.store(to, v128.load(from, 16), 16);
      to += 32;
      from += row;
    }
    return;
  }
  if (width == 8 && row == 4) {
    let i = 0;
    for (; i + 4 <= k; i += 4) {
      transpose4(from, column, to, 32);
      transpose4(from + 4 * column, column, to + 16, 32);
      to += 128;
      from += 16;
    }
    for (; i < k; i++) {
      for (let c: usize = 0; c < 8; c++) store<f32>(to + (c << 2), load<f32>(from + c * column));
      to += 32;
      from += 4;
    }
    return;
  }
  for (let i = 0; i < k; i++) {
    for (let c: usize = 0; c < 8; c++)
      store<f32>(to + (c << 2), <i32>c < width ? load<f32>(from + c * column) : 0);
    to += 32;
    from += row;
  }
}

/** One block of rows of C against one run of the packed columns of this chunk. */
export function gemmRows(args: usize, task: i32, worker: i32): void {
  const k = slot(args, K);
  const n = slot(args, N);
  const split = slot(args, SPLIT);
  const runs = (slot(args, COLUMNS) + split - 1) / split;
  const row = (task / runs) * slot(args, ROWS);
  const rows = min(slot(args, ROWS), slot(args, M) - row);
  const left = (task % runs) * split;
  const columns = min(split, slot(args, COLUMNS) - left);
  const first = slot(args, FIRST) + left;
  const aRow = <usize>slot(args, A_ROW);
  const aColumn = <usize>slot(args, A_COLUMN);
  const cRow = <usize>n << 2;
  const a = <usize>slot(args, A) + <usize>row * aRow;
  const c = <usize>slot(args, C) + (<usize>row * <usize>n + <usize>first << 2);
  const packed = <usize>slot(args, PACKED) + <usize>(left >> 3) * <usize>k * 32;
  const panel = <usize>slot(args, SCRATCH) + <usize>worker * <usize>slot(args, SCRATCH_BYTES);
  const edge = panel + <usize>(rowBlock * depth * 4);
  const accumulate = slot(args, ACCUMULATE) != 0;
  for (let from = 0; from < k; from += depth) {
    const deep = min(depth, k - from);
    packRows(a + <usize>from * aColumn, aRow, aColumn, rows, deep, panel);
    const add = accumulate || from > 0;
    for (let j = 0; j < columns; j += 8) {
      const b = packed + <usize>(j >> 3) * <usize>k * 32 + <usize>from * 32;
      const width = min(8, columns - j);
      for (let i = 0; i < rows; i += 6) {
        const height = min(6, rows - i);
        const at = c + <usize>i * cRow + (<usize>j << 2);
        const p = panel + <usize>i * <usize>deep * 4;
        if (height == 6 && width == 8) tile(p, b, 32, at, cRow, deep, add);
        else {
          tile(p, b, 32, edge, 32, deep, false);
          for (let r = 0; r < height; r++)
            for (let q = 0; q < width; q++) {
              const to = at + <usize>r * cRow + (<usize>q << 2);
              const value = load<f32>(edge + (<usize>(r * 8 + q) << 2));
              store<f32>(to, add ? load<f32>(to) + value : value);
            }
        }
      }
    }
  }
  finish(args, c, row, rows, first, columns);
}

/** Bias and activation, while the rows are still in the cache. */
function finish(args: usize, c: usize, row: i32, rows: i32, first: i32, columns: i32): void {
  const bias = <usize>slot(args, BIAS);
  const activation = slot(args, ACTIVATION);
  const kept = <usize>slot(args, PREACTIVATION);
  if (bias == 0 && activation == 0) return;
  const n = slot(args, N);
  for (let r = 0; r < rows; r++) {
    const at = c + (<usize>r * <usize>n << 2);
    const pre = kept + (<usize>(row + r) * <usize>n + <usize>first << 2);
    const b = bias + (<usize>first << 2);
    let j: usize = 0;
    const end = <usize>columns << 2;
    for (; j + 16 <= end; j += 16) {
      let x = v128.load(at + j);
      if (bias) x = f32x4.add(x, v128.load(b + j));
      if (kept) v128.store(pre + j, x);
      v128.store(at + j, activate4(x, activation));
    }
    for (; j < end; j += 4) {
      let x = load<f32>(at + j);
      if (bias) x += load<f32>(b + j);
      if (kept) store<f32>(pre + j, x);
      store<f32>(at + j, f32x4.extract_lane(activate4(f32x4.splat(x), activation), 0));
    }
  }
}

/** Columns of a task of the paths for few rows. */
export const columnBlock = 64;

/** Few rows against the rows of Bᵀ, as a decoding step has them: dot products along contiguous memory, nothing packed. */
export function gemmDots(args: usize, task: i32): void {
  const k = slot(args, K);
  const n = slot(args, N);
  const m = slot(args, M);
  const a = <usize>slot(args, A);
  const aRow = <usize>slot(args, A_ROW);
  const b = <usize>slot(args, B);
  const bColumn = <usize>slot(args, B_COLUMN);
  const c = <usize>slot(args, C);
  const accumulate = slot(args, ACCUMULATE) != 0;
  const end = min(n, (task + 1) * columnBlock);
  const whole = k & ~3;
  for (let j = task * columnBlock; j < end; j += 4) {
    const width = min(4, end - j);
    const b0 = b + <usize>j * bColumn;
    const b1 = width > 1 ? b0 + bColumn : b0;
    const b2 = width > 2 ? b1 + bColumn : b0;
    const b3 = width > 3 ? b2 + bColumn : b0;
    for (let i = 0; i < m; i += 3) {
      const height = min(3, m - i);
      const a0 = a + <usize>i * aRow;
      const a1 = height > 1 ? a0 + aRow : a0;
      const a2 = height > 2 ? a1 + aRow : a0;
      let s00 = f32x4.splat(0);
      let s01 = s00;
      let s02 = s00;
      let s03 = s00;
      let s10 = s00;
      let s11 = s00;
      let s12 = s00;
      let s13 = s00;
      let s20 = s00;
      let s21 = s00;
      let s22 = s00;
      let s23 = s00;
      const bytes = <usize>whole << 2;
      for (let p: usize = 0; p < bytes; p += 16) {
        const x0 = v128.load(a0 + p);
        const x1 = v128.load(a1 + p);
        const x2 = v128.load(a2 + p);
        let y = v128.load(b0 + p);
        s00 = madd(x0, y, s00);
        s10 = madd(x1, y, s10);
        s20 = madd(x2, y, s20);
        y = v128.load(b1 + p);
        s01 = madd(x0, y, s01);
        s11 = madd(x1, y, s11);
        s21 = madd(x2, y, s21);
        y = v128.load(b2 + p);
        s02 = madd(x0, y, s02);
        s12 = madd(x1, y, s12);
        s22 = madd(x2, y, s22);
        y = v128.load(b3 + p);
        s03 = madd(x0, y, s03);
        s13 = madd(x1, y, s13);
        s23 = madd(x2, y, s23);
      }
      putSums(c, n, i, j, width, s00, s01, s02, s03, a0, b0, b1, b2, b3, whole, k, accumulate);
      if (height > 1) putSums(c, n, i + 1, j, width, s10, s11, s12, s13, a1, b0, b1, b2, b3, whole, k, accumulate);
      if (height > 2) putSums(c, n, i + 2, j, width, s20, s21, s22, s23, a2, b0, b1, b2, b3, whole, k, accumulate);
    }
  }
  for (let i = 0; i < m; i++) finishSpan(args, i, task * columnBlock, end);
}

// @ts-ignore: decorator
@inline
function putSums(
  c: usize, n: i32, i: i32, j: i32, width: i32,
  s0: v128, s1: v128, s2: v128, s3: v128,
  a: usize, b0: usize, b1: usize, b2: usize, b3: usize,
  whole: i32, k: i32, accumulate: bool,
): void {
  let t0 = sumLanes(s0);
  let t1 = sumLanes(s1);
  let t2 = sumLanes(s2);
  let t3 = sumLanes(s3);
  for (let p = whole; p < k; p++) {
    const at = <usize>p << 2;
    const x = load<f32>(a + at);
    t0 += x * load<f32>(b0 + at);
    t1 += x * load<f32>(b1 + at);
    t2 += x * load<f32>(b2 + at);
    t3 += x * load<f32>(b3 + at);
  }
  const to = c + (<usize>i * <usize>n + <usize>j << 2);
  put(to, t0, accumulate);
  if (width > 1) put(to + 4, t1, accumulate);
  if (width > 2) put(to + 8, t2, accumulate);
  if (width > 3) put(to + 12, t3, accumulate);
}

// @ts-ignore: decorator
@inline
function put(to: usize, value: f32, accumulate: bool): void {
  store<f32>(to, accumulate ? load<f32>(to) + value : value);
}

// @ts-ignore: decorator
@inline
function sumLanes(x: v128): f32 {
  return (
    f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1) + (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3))
  );
}

/** Bias and activation of part of one row. */
function finishSpan(args: usize, row: i32, from: i32, to: i32): void {
  const bias = <usize>slot(args, BIAS);
  const activation = slot(args, ACTIVATION);
  const kept = <usize>slot(args, PREACTIVATION);
  if (bias == 0 && activation == 0) return;
  const start = <usize>row * <usize>slot(args, N);
  for (let j = from; j < to; j++) {
    const at = <usize>slot(args, C) + (start + <usize>j << 2);
    let x = load<f32>(at);
    if (bias) x += load<f32>(bias + (<usize>j << 2));
    if (kept) store<f32>(kept + (start + <usize>j << 2), x);
    store<f32>(at, f32x4.extract_lane(activate4(f32x4.splat(x), activation), 0));
  }
}

/** Few rows against B as it lies, [K, N] with N a multiple of 8: A alone is packed, by each task for itself. */
export function gemmColumns(args: usize, task: i32, worker: i32): void {
  const k = slot(args, K);
  const n = slot(args, N);
  const m = slot(args, M);
  const cRow = <usize>n << 2;
  const bRow = <usize>slot(args, B_ROW);
  const panel = <usize>slot(args, SCRATCH) + <usize>worker * <usize>slot(args, SCRATCH_BYTES);
  const edge = panel + <usize>(rowBlock * depth * 4);
  const accumulate = slot(args, ACCUMULATE) != 0;
  const end = min(n, (task + 1) * columnBlock);
  for (let from = 0; from < k; from += depth) {
    const deep = min(depth, k - from);
    const aColumn = <usize>slot(args, A_COLUMN);
    packRows(<usize>slot(args, A) + <usize>from * aColumn, <usize>slot(args, A_ROW), aColumn, m, deep, panel);
    const add = accumulate || from > 0;
    for (let j = task * columnBlock; j < end; j += 8) {
      const b = <usize>slot(args, B) + <usize>from * bRow + (<usize>j << 2);
      for (let i = 0; i < m; i += 6) {
        const height = min(6, m - i);
        const at = <usize>slot(args, C) + <usize>i * cRow + (<usize>j << 2);
        const p = panel + <usize>i * <usize>deep * 4;
        if (height == 6) tile(p, b, bRow, at, cRow, deep, add);
        else {
          tile(p, b, bRow, edge, 32, deep, false);
          for (let r = 0; r < height; r++)
            for (let q: usize = 0; q < 32; q += 16) {
              const to = at + <usize>r * cRow + q;
              const value = v128.load(edge + <usize>(r * 32) + q);
              v128.store(to, add ? f32x4.add(v128.load(to), value) : value);
            }
        }
      }
    }
  }
  for (let i = 0; i < m; i++) finishSpan(args, i, task * columnBlock, end);
}
