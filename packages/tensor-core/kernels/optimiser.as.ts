import { span } from "./activation.as";
import { slot } from "./gemm.as";

// @ts-ignore: decorator
@inline
function float(args: usize, i: i32): f32 {
  return load<f32>(args + (<usize>i << 2));
}

/** parameter, gradient, m, v, size, step size, β₁, β₂, ε, kept (1 − ηλ), 1/√correction₂, gradient scale */
export function adamW(args: usize, task: i32): void {
  const end = min(slot(args, 4), (task + 1) * span);
  const step = float(args, 5);
  const beta1 = float(args, 6);
  const beta2 = float(args, 7);
  const epsilon = float(args, 8);
  const kept = float(args, 9);
  const correction = float(args, 10);
  const scale = float(args, 11);
  let i = task * span;
  const at = <usize>i << 2;
  let p = <usize>slot(args, 0) + at;
  let g = <usize>slot(args, 1) + at;
  let m = <usize>slot(args, 2) + at;
  let v = <usize>slot(args, 3) + at;
  for (; i + 4 <= end; i += 4) {
    const x = f32x4.mul(v128.load(g), f32x4.splat(scale));
    const a = f32x4.add(f32x4.mul(v128.load(m), f32x4.splat(beta1)), f32x4.mul(x, f32x4.splat(1 - beta1)));
    const b = f32x4.add(
      f32x4.mul(v128.load(v), f32x4.splat(beta2)),
      f32x4.mul(f32x4.mul(x, x), f32x4.splat(1 - beta2)),
    );
    v128.store(m, a);
    v128.store(v, b);
    const deviation = f32x4.add(f32x4.mul(f32x4.sqrt(b), f32x4.splat(correction)), f32x4.splat(epsilon));
    const change = f32x4.div(f32x4.mul(a, f32x4.splat(step)), deviation);
    v128.store(p, f32x4.sub(f32x4.mul(v128.load(p), f32x4.splat(kept)), change));
    p += 16;
    g += 16;
    m += 16;
    v += 16;
  }
  for (; i < end; i++) {
    const x = load<f32>(g) * scale;
    const a = load<f32>(m) * beta1 + x * (1 - beta1);
    const b = load<f32>(v) * beta2 + x * x * (1 - beta2);
    store<f32>(m, a);
    store<f32>(v, b);
    const deviation = <f32>Math.sqrt(<f64>b) * correction + epsilon;
    store<f32>(p, load<f32>(p) * kept - (a * step) / deviation);
    p += 4;
    g += 4;
    m += 4;
    v += 4;
  }
}

/** x, partial sums in double precision, size */
export function squares(args: usize, task: i32): void {
  const end = min(slot(args, 2), (task + 1) * span);
  let i = task * span;
  let x = <usize>slot(args, 0) + (<usize>i << 2);
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (; i + 4 <= end; i += 4) {
    const y = v128.load(x);
    const a = f64x2.promote_low_f32x4(y);
    const b = f64x2.promote_low_f32x4(v128.shuffle<f32>(y, y, 2, 3, 2, 3));
    low = f64x2.add(low, f64x2.mul(a, a));
    high = f64x2.add(high, f64x2.mul(b, b));
    x += 16;
  }
  const both = f64x2.add(low, high);
  let sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
  for (; i < end; i++) {
    const y = <f64>load<f32>(x);
    sum += y * y;
    x += 4;
  }
  store<f64>(<usize>slot(args, 1) + (<usize>task << 3), sum);
}
