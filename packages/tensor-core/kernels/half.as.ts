import { slot } from "./gemm.as";
import { transposeVectors } from "./packing.as";

// Weights in bfloat16, the upper halves of float32 numbers.

/** Numbers of a widening task. */
const span = 16384;

/** Four of them in float32. */
// @ts-ignore: decorator
@inline
function widen4(from: usize): v128 {
  return i32x4.shl(v128.load16x4_u(from), 16);
}

// @ts-ignore: decorator
@inline
function widen1(from: usize): f32 {
  return reinterpret<f32>(<u32>load<u16>(from) << 16);
}

/** x, y, count */
export function widen(args: usize, task: i32): void {
  const end = min(slot(args, 2), (task + 1) * span);
  const x = <usize>slot(args, 0);
  const y = <usize>slot(args, 1);
  let i = task * span;
  for (; i + 4 <= end; i += 4) v128.store(y + (<usize>i << 2), widen4(x + (<usize>i << 1)));
  for (; i < end; i++) store<f32>(y + (<usize>i << 2), widen1(x + (<usize>i << 1)));
}

/** As `packPanel`, of a B in bfloat16: rows and columns `row` and `column` bytes apart. */
export function packHalfPanel(from: usize, row: usize, column: usize, width: i32, k: i32, to: usize): void {
  let i = 0;
  if (width == 8 && column == 2) {
    for (; i < k; i++) {
      v128.store(to, widen4(from));
      v128.store(to, widen4(from + 8), 16);
      to += 32;
      from += row;
    }
    return;
  }
  if (width == 8 && row == 2) {
    for (; i + 4 <= k; i += 4) {
      for (let c: usize = 0; c < 8; c += 4) {
        const at = from + c * column;
        const a = widen4(at);
        const b = widen4(at + column);
        transposeVectors(a, b, widen4(at + 2 * column), widen4(at + 3 * column), to + (c << 2), 32);
      }
      to += 128;
      from += 8;
    }
  }
  for (; i < k; i++) {
    for (let c: usize = 0; c < 8; c++)
      store<f32>(to + (c << 2), <i32>c < width ? widen1(from + c * column) : 0);
    to += 32;
    from += row;
  }
}
