import { axpy, erf4, exp4, sigmoid4, tanh4 } from "./vector-math.as";
import { slot } from "./gemm.as";

// 0 none, 1 gelu, 2 geluTanh, 3 silu, 4 relu

const cubic: f32 = 0.044715;
const slope: f32 = 0.7978845608028654; // √(2/π)

// @ts-ignore: decorator
@inline
export function activate4(x: v128, kind: i32): v128 {
  switch (kind) {
    case 1:
      return f32x4.mul(
        f32x4.mul(f32x4.splat(0.5), x),
        f32x4.add(f32x4.splat(1), erf4(f32x4.mul(x, f32x4.splat(0.7071067811865476)))),
      );
    case 2: {
      const inner = f32x4.mul(
        f32x4.splat(slope),
        f32x4.add(x, f32x4.mul(f32x4.splat(cubic), f32x4.mul(x, f32x4.mul(x, x)))),
      );
      // ½(1 + tanh z) is sigmoid 2z.
      return f32x4.mul(x, sigmoid4(f32x4.add(inner, inner)));
    }
    case 3:
      return f32x4.mul(x, sigmoid4(x));
    case 4:
      return f32x4.max(x, f32x4.splat(0));
    default:
      return x;
  }
}

export function slope4(x: v128, kind: i32): v128 {
  const one = f32x4.splat(1);
  switch (kind) {
    case 1: {
      const cdf = f32x4.mul(
        f32x4.splat(0.5),
        f32x4.add(one, erf4(f32x4.mul(x, f32x4.splat(0.7071067811865476)))),
      );
      const pdf = f32x4.mul(f32x4.splat(0.3989422804014327), exp4(f32x4.mul(f32x4.splat(-0.5), f32x4.mul(x, x))));
      return f32x4.add(cdf, f32x4.mul(x, pdf));
    }
    case 2: {
      const square = f32x4.mul(x, x);
      const inner = f32x4.mul(f32x4.splat(slope), f32x4.mul(x, f32x4.add(one, f32x4.mul(f32x4.splat(cubic), square))));
      const t = tanh4(inner);
      const rise = f32x4.mul(f32x4.splat(slope), f32x4.add(one, f32x4.mul(f32x4.splat(3 * cubic), square)));
      const bend = f32x4.mul(f32x4.mul(x, f32x4.sub(one, f32x4.mul(t, t))), rise);
      return f32x4.mul(f32x4.splat(0.5), f32x4.add(f32x4.add(one, t), bend));
    }
    case 3: {
      const s = sigmoid4(x);
      return f32x4.mul(s, f32x4.add(one, f32x4.mul(x, f32x4.sub(one, s))));
    }
    case 4:
      return v128.and(one, f32x4.gt(x, f32x4.splat(0)));
    default:
      return one;
  }
}

/** Numbers an elementwise task does. */
export const span = 16384;

/** Elementwise kernels work on whole vectors; the last one of an odd size is done on a copy. */
// @ts-ignore: decorator
@inline
export function tail(from: usize, count: i32): v128 {
  let x = f32x4.splat(load<f32>(from));
  if (count > 1) x = f32x4.replace_lane(x, 1, load<f32>(from, 4));
  if (count > 2) x = f32x4.replace_lane(x, 2, load<f32>(from, 8));
  return x;
}

// @ts-ignore: decorator
@inline
export function putTail(to: usize, x: v128, count: i32): void {
  store<f32>(to, f32x4.extract_lane(x, 0));
  if (count > 1) store<f32>(to, f32x4.extract_lane(x, 1), 4);
  if (count > 2) store<f32>(to, f32x4.extract_lane(x, 2), 8);
}

/** x, y, size, kind */
export function activation(args: usize, task: i32): void {
  const size = slot(args, 2);
  const kind = slot(args, 3);
  const end = min(size, (task + 1) * span);
  let i = task * span;
  let x = <usize>slot(args, 0) + (<usize>i << 2);
  let y = <usize>slot(args, 1) + (<usize>i << 2);
  for (; i + 4 <= end; i += 4) {
    v128.store(y, activate4(v128.load(x), kind));
    x += 16;
    y += 16;
  }
  if (i < end) putTail(y, activate4(tail(x, end - i), kind), end - i);
}

/** dy, x, dx, size, kind */
export function activationGrad(args: usize, task: i32): void {
  const size = slot(args, 3);
  const kind = slot(args, 4);
  const end = min(size, (task + 1) * span);
  let i = task * span;
  const at = <usize>i << 2;
  let dy = <usize>slot(args, 0) + at;
  let x = <usize>slot(args, 1) + at;
  let dx = <usize>slot(args, 2) + at;
  for (; i + 4 <= end; i += 4) {
    v128.store(dx, f32x4.mul(v128.load(dy), slope4(v128.load(x), kind)));
    dy += 16;
    x += 16;
    dx += 16;
  }
  if (i < end) putTail(dx, f32x4.mul(tail(dy, end - i), slope4(tail(x, end - i), kind)), end - i);
}

/** gate, up, y, size */
export function swiglu(args: usize, task: i32): void {
  const end = min(slot(args, 3), (task + 1) * span);
  let i = task * span;
  const at = <usize>i << 2;
  let gate = <usize>slot(args, 0) + at;
  let up = <usize>slot(args, 1) + at;
  let y = <usize>slot(args, 2) + at;
  for (; i + 4 <= end; i += 4) {
    const g = v128.load(gate);
    v128.store(y, f32x4.mul(f32x4.mul(g, sigmoid4(g)), v128.load(up)));
    gate += 16;
    up += 16;
    y += 16;
  }
  if (i < end) {
    const g = tail(gate, end - i);
    putTail(y, f32x4.mul(f32x4.mul(g, sigmoid4(g)), tail(up, end - i)), end - i);
  }
}

/** dy, gate, up, dgate, dup, size */
export function swigluGrad(args: usize, task: i32): void {
  const end = min(slot(args, 5), (task + 1) * span);
  let i = task * span;
  const at = <usize>i << 2;
  let dy = <usize>slot(args, 0) + at;
  let gate = <usize>slot(args, 1) + at;
  let up = <usize>slot(args, 2) + at;
  let dgate = <usize>slot(args, 3) + at;
  let dup = <usize>slot(args, 4) + at;
  const one = f32x4.splat(1);
  for (; i < end; i += 4) {
    const count = end - i;
    const g = count >= 4 ? v128.load(gate) : tail(gate, count);
    const u = count >= 4 ? v128.load(up) : tail(up, count);
    const d = count >= 4 ? v128.load(dy) : tail(dy, count);
    const s = sigmoid4(g);
    const a = f32x4.mul(d, f32x4.mul(g, s));
    const b = f32x4.mul(f32x4.mul(d, u), f32x4.mul(s, f32x4.add(one, f32x4.mul(g, f32x4.sub(one, s)))));
    if (count >= 4) {
      v128.store(dup, a);
      v128.store(dgate, b);
    } else {
      putTail(dup, a, count);
      putTail(dgate, b, count);
    }
    dy += 16;
    gate += 16;
    up += 16;
    dgate += 16;
    dup += 16;
  }
}

/** x, y, count: y ← y + x */
export function addSpan(args: usize, task: i32): void {
  const from = task * span;
  const at = <usize>from << 2;
  axpy(1, <usize>slot(args, 0) + at, <usize>slot(args, 1) + at, min(span, slot(args, 2) - from));
}
