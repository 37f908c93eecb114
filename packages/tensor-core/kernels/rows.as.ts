import { slot } from "./gemm.as";
import { axpy, dot, exp4, log1, max4, sum4 } from "./vector-math.as";

// Kernels over the rows of a matrix. What is summed over rows is summed within a fixed number of parts first, so that the
// result does not depend on how many threads there are.

/** Rows of a task. */
export const rowSpan = 32;
/** Parts of a sum over rows. */
export const parts = 16;

// @ts-ignore: decorator
@inline
export function float(args: usize, i: i32): f32 {
  return load<f32>(args + (<usize>i << 2));
}

/** x, weight, y, inverseRms, M, N, epsilon */
export function rmsNorm(args: usize, task: i32): void {
  const n = slot(args, 5);
  const end = min(slot(args, 4), (task + 1) * rowSpan);
  const weight = <usize>slot(args, 1);
  for (let i = task * rowSpan; i < end; i++) {
    const x = <usize>slot(args, 0) + (<usize>i * <usize>n << 2);
    const y = <usize>slot(args, 2) + (<usize>i * <usize>n << 2);
    const r = <f32>(1 / Math.sqrt(<f64>(dot(x, x, n) / <f32>n + float(args, 6))));
    store<f32>(<usize>slot(args, 3) + (<usize>i << 2), r);
    let j = 0;
    const r4 = f32x4.splat(r);
    for (; j + 4 <= n; j += 4) {
      const at = <usize>j << 2;
      v128.store(y + at, f32x4.mul(f32x4.mul(v128.load(x + at), r4), v128.load(weight + at)));
    }
    for (; j < n; j++) {
      const at = <usize>j << 2;
      store<f32>(y + at, load<f32>(x + at) * r * load<f32>(weight + at));
    }
  }
}

/** dy, x, weight, inverseRms, dx, partial dweight [parts, N], M, N */
export function rmsNormGrad(args: usize, task: i32): void {
  const m = slot(args, 6);
  const n = slot(args, 7);
  const from = <i32>((<i64>task * m) / parts);
  const end = <i32>((<i64>(task + 1) * m) / parts);
  const weight = <usize>slot(args, 2);
  const partial = <usize>slot(args, 5) + (<usize>task * <usize>n << 2);
  memory.fill(partial, 0, <usize>n << 2);
  for (let i = from; i < end; i++) {
    const row = <usize>i * <usize>n << 2;
    const dy = <usize>slot(args, 0) + row;
    const x = <usize>slot(args, 1) + row;
    const dx = <usize>slot(args, 4) + row;
    const r = load<f32>(<usize>slot(args, 3) + (<usize>i << 2));
    let sums = f32x4.splat(0);
    let j = 0;
    for (; j + 4 <= n; j += 4) {
      const at = <usize>j << 2;
      sums = f32x4.add(sums, f32x4.mul(f32x4.mul(v128.load(dy + at), v128.load(weight + at)), v128.load(x + at)));
    }
    let sum = sum4(sums);
    for (; j < n; j++) {
      const at = <usize>j << 2;
      sum += load<f32>(dy + at) * load<f32>(weight + at) * load<f32>(x + at);
    }
    const c = (sum * r * r * r) / <f32>n;
    const r4 = f32x4.splat(r);
    const c4 = f32x4.splat(c);
    for (j = 0; j + 4 <= n; j += 4) {
      const at = <usize>j << 2;
      const g = v128.load(dy + at);
      const z = v128.load(x + at);
      v128.store(dx + at, f32x4.sub(f32x4.mul(f32x4.mul(g, v128.load(weight + at)), r4), f32x4.mul(c4, z)));
      v128.store(partial + at, f32x4.add(v128.load(partial + at), f32x4.mul(f32x4.mul(g, z), r4)));
    }
    for (; j < n; j++) {
      const at = <usize>j << 2;
      const g = load<f32>(dy + at);
      const z = load<f32>(x + at);
      store<f32>(dx + at, g * load<f32>(weight + at) * r - c * z);
      store<f32>(partial + at, load<f32>(partial + at) + g * z * r);
    }
  }
}

/** x, weight, bias, y, mean, inverseStd, M, N, epsilon */
export function layerNorm(args: usize, task: i32): void {
  const n = slot(args, 7);
  const end = min(slot(args, 6), (task + 1) * rowSpan);
  const weight = <usize>slot(args, 1);
  const bias = <usize>slot(args, 2);
  for (let i = task * rowSpan; i < end; i++) {
    const x = <usize>slot(args, 0) + (<usize>i * <usize>n << 2);
    const y = <usize>slot(args, 3) + (<usize>i * <usize>n << 2);
    let sum: f32 = 0;
    let sums = f32x4.splat(0);
    let j = 0;
    for (; j + 4 <= n; j += 4) sums = f32x4.add(sums, v128.load(x + (<usize>j << 2)));
    sum = sum4(sums);
    for (; j < n; j++) sum += load<f32>(x + (<usize>j << 2));
    const mean = sum / <f32>n;
    const m4 = f32x4.splat(mean);
    let squares = f32x4.splat(0);
    for (j = 0; j + 4 <= n; j += 4) {
      const z = f32x4.sub(v128.load(x + (<usize>j << 2)), m4);
      squares = f32x4.add(squares, f32x4.mul(z, z));
    }
    let square = sum4(squares);
    for (; j < n; j++) {
      const z = load<f32>(x + (<usize>j << 2)) - mean;
      square += z * z;
    }
    const r = <f32>(1 / Math.sqrt(<f64>(square / <f32>n + float(args, 8))));
    store<f32>(<usize>slot(args, 4) + (<usize>i << 2), mean);
    store<f32>(<usize>slot(args, 5) + (<usize>i << 2), r);
    const r4 = f32x4.splat(r);
    for (j = 0; j + 4 <= n; j += 4) {
      const at = <usize>j << 2;
      const z = f32x4.mul(f32x4.sub(v128.load(x + at), m4), r4);
      v128.store(y + at, f32x4.add(f32x4.mul(z, v128.load(weight + at)), v128.load(bias + at)));
    }
    for (; j < n; j++) {
      const at = <usize>j << 2;
      store<f32>(y + at, (load<f32>(x + at) - mean) * r * load<f32>(weight + at) + load<f32>(bias + at));
    }
  }
}

/** dy, x, weight, mean, inverseStd, dx, partial dweight [parts, N], partial dbias [parts, N], M, N */
export function layerNormGrad(args: usize, task: i32): void {
  const m = slot(args, 8);
  const n = slot(args, 9);
  const from = <i32>((<i64>task * m) / parts);
  const end = <i32>((<i64>(task + 1) * m) / parts);
  const weight = <usize>slot(args, 2);
  const dweight = <usize>slot(args, 6) + (<usize>task * <usize>n << 2);
  const dbias = <usize>slot(args, 7) + (<usize>task * <usize>n << 2);
  memory.fill(dweight, 0, <usize>n << 2);
  memory.fill(dbias, 0, <usize>n << 2);
  for (let i = from; i < end; i++) {
    const row = <usize>i * <usize>n << 2;
    const dy = <usize>slot(args, 0) + row;
    const x = <usize>slot(args, 1) + row;
    const dx = <usize>slot(args, 5) + row;
    const mean = load<f32>(<usize>slot(args, 3) + (<usize>i << 2));
    const r = load<f32>(<usize>slot(args, 4) + (<usize>i << 2));
    const m4 = f32x4.splat(mean);
    const r4 = f32x4.splat(r);
    let g4 = f32x4.splat(0);
    let z4 = f32x4.splat(0);
    let j = 0;
    for (; j + 4 <= n; j += 4) {
      const at = <usize>j << 2;
      const g = f32x4.mul(v128.load(dy + at), v128.load(weight + at));
      g4 = f32x4.add(g4, g);
      z4 = f32x4.add(z4, f32x4.mul(g, f32x4.mul(f32x4.sub(v128.load(x + at), m4), r4)));
    }
    let gSum = sum4(g4);
    let zSum = sum4(z4);
    for (; j < n; j++) {
      const at = <usize>j << 2;
      const g = load<f32>(dy + at) * load<f32>(weight + at);
      gSum += g;
      zSum += g * (load<f32>(x + at) - mean) * r;
    }
    const gMean = gSum / <f32>n;
    const zMean = zSum / <f32>n;
    for (j = 0; j + 4 <= n; j += 4) {
      const at = <usize>j << 2;
      const up = v128.load(dy + at);
      const z = f32x4.mul(f32x4.sub(v128.load(x + at), m4), r4);
      const g = f32x4.mul(up, v128.load(weight + at));
      const inner = f32x4.sub(f32x4.sub(g, f32x4.splat(gMean)), f32x4.mul(z, f32x4.splat(zMean)));
      v128.store(dx + at, f32x4.mul(inner, r4));
      v128.store(dweight + at, f32x4.add(v128.load(dweight + at), f32x4.mul(up, z)));
      v128.store(dbias + at, f32x4.add(v128.load(dbias + at), up));
    }
    for (; j < n; j++) {
      const at = <usize>j << 2;
      const up = load<f32>(dy + at);
      const z = (load<f32>(x + at) - mean) * r;
      store<f32>(dx + at, (up * load<f32>(weight + at) - gMean - z * zMean) * r);
      store<f32>(dweight + at, load<f32>(dweight + at) + up * z);
      store<f32>(dbias + at, load<f32>(dbias + at) + up);
    }
  }
}

/** x [M, N] → partial sums [parts, N]: x, partial, M, N */
export function sumRowsPart(args: usize, task: i32): void {
  const m = slot(args, 2);
  const n = slot(args, 3);
  const partial = <usize>slot(args, 1) + (<usize>task * <usize>n << 2);
  memory.fill(partial, 0, <usize>n << 2);
  const end = <i32>((<i64>(task + 1) * m) / parts);
  for (let i = <i32>((<i64>task * m) / parts); i < end; i++)
    axpy(1, <usize>slot(args, 0) + (<usize>i * <usize>n << 2), partial, n);
}

/** partial [parts, N], y, N: the sum of the parts in order */
export function sumParts(args: usize): void {
  const n = slot(args, 2);
  const y = <usize>slot(args, 1);
  memory.fill(y, 0, <usize>n << 2);
  for (let p = 0; p < parts; p++) axpy(1, <usize>slot(args, 0) + (<usize>p * <usize>n << 2), y, n);
}

/** max and log-sum-exp of n numbers */
export function logSumExp(x: usize, n: i32): f32 {
  const least: f32 = -f32.MAX_VALUE * 2;
  let best = least;
  let j = 0;
  if (n >= 4) {
    let top = v128.load(x);
    for (j = 4; j + 4 <= n; j += 4) top = f32x4.max(top, v128.load(x + (<usize>j << 2)));
    best = max4(top);
  }
  for (; j < n; j++) best = max<f32>(best, load<f32>(x + (<usize>j << 2)));
  if (best == least || best != best) return best;
  const shift = f32x4.splat(best);
  let sums = f32x4.splat(0);
  for (j = 0; j + 4 <= n; j += 4) sums = f32x4.add(sums, exp4(f32x4.sub(v128.load(x + (<usize>j << 2)), shift)));
  let sum = sum4(sums);
  for (; j < n; j++) sum += f32x4.extract_lane(exp4(f32x4.splat(load<f32>(x + (<usize>j << 2)) - best)), 0);
  return best + log1(sum);
}

/** logits, targets, value, logSumExp, M, N, sign: value = sign·(logit of the target − log-sum-exp) */
export function pickLogProb(args: usize, task: i32): void {
  const n = slot(args, 5);
  const end = min(slot(args, 4), (task + 1) * rowSpan);
  for (let i = task * rowSpan; i < end; i++) {
    const x = <usize>slot(args, 0) + (<usize>i * <usize>n << 2);
    const lse = logSumExp(x, n);
    const target = load<i32>(<usize>slot(args, 1) + (<usize>i << 2));
    store<f32>(<usize>slot(args, 3) + (<usize>i << 2), lse);
    const value = load<f32>(x + (<usize>target << 2)) - lse;
    store<f32>(<usize>slot(args, 2) + (<usize>i << 2), float(args, 6) * value);
  }
}

/** logits, targets, d, logSumExp, out, M, N, sign: out = sign·d·(onehot(target) − softmax) */
export function pickLogProbGrad(args: usize, task: i32): void {
  const n = slot(args, 6);
  const end = min(slot(args, 5), (task + 1) * rowSpan);
  for (let i = task * rowSpan; i < end; i++) {
    const x = <usize>slot(args, 0) + (<usize>i * <usize>n << 2);
    const y = <usize>slot(args, 4) + (<usize>i * <usize>n << 2);
    const d = float(args, 7) * load<f32>(<usize>slot(args, 2) + (<usize>i << 2));
    const lse = load<f32>(<usize>slot(args, 3) + (<usize>i << 2));
    const d4 = f32x4.splat(-d);
    const l4 = f32x4.splat(lse);
    let j = 0;
    for (; j + 4 <= n; j += 4) {
      const at = <usize>j << 2;
      v128.store(y + at, f32x4.mul(d4, exp4(f32x4.sub(v128.load(x + at), l4))));
    }
    for (; j < n; j++) {
      const at = <usize>j << 2;
      store<f32>(y + at, -d * f32x4.extract_lane(exp4(f32x4.splat(load<f32>(x + at) - lse)), 0));
    }
    const target = y + (<usize>load<i32>(<usize>slot(args, 1) + (<usize>i << 2)) << 2);
    store<f32>(target, load<f32>(target) + d);
  }
}

/** x, y, M, N */
export function logSoftmax(args: usize, task: i32): void {
  const n = slot(args, 3);
  const end = min(slot(args, 2), (task + 1) * rowSpan);
  for (let i = task * rowSpan; i < end; i++) {
    const x = <usize>slot(args, 0) + (<usize>i * <usize>n << 2);
    const y = <usize>slot(args, 1) + (<usize>i * <usize>n << 2);
    const lse = logSumExp(x, n);
    const l4 = f32x4.splat(lse);
    let j = 0;
    for (; j + 4 <= n; j += 4) v128.store(y + (<usize>j << 2), f32x4.sub(v128.load(x + (<usize>j << 2)), l4));
    for (; j < n; j++) store<f32>(y + (<usize>j << 2), load<f32>(x + (<usize>j << 2)) - lse);
  }
}

/** dy, y, dx, M, N: dx = dy − softmax·Σdy */
export function logSoftmaxGrad(args: usize, task: i32): void {
  const n = slot(args, 4);
  const end = min(slot(args, 3), (task + 1) * rowSpan);
  for (let i = task * rowSpan; i < end; i++) {
    const row = <usize>i * <usize>n << 2;
    const dy = <usize>slot(args, 0) + row;
    const y = <usize>slot(args, 1) + row;
    const dx = <usize>slot(args, 2) + row;
    let sums = f32x4.splat(0);
    let j = 0;
    for (; j + 4 <= n; j += 4) sums = f32x4.add(sums, v128.load(dy + (<usize>j << 2)));
    let sum = sum4(sums);
    for (; j < n; j++) sum += load<f32>(dy + (<usize>j << 2));
    const s4 = f32x4.splat(sum);
    for (j = 0; j + 4 <= n; j += 4) {
      const at = <usize>j << 2;
      v128.store(dx + at, f32x4.sub(v128.load(dy + at), f32x4.mul(s4, exp4(v128.load(y + at)))));
    }
    for (; j < n; j++) {
      const at = <usize>j << 2;
      store<f32>(dx + at, load<f32>(dy + at) - sum * f32x4.extract_lane(exp4(f32x4.splat(load<f32>(y + at))), 0));
    }
  }
}

/** x, cos, sin, positions, y, rows, heads, D, R/2, interleaved, inverse */
export function rotary(args: usize, task: i32): void {
  const heads = slot(args, 6);
  const d = slot(args, 7);
  const half = slot(args, 8);
  const interleaved = slot(args, 9) != 0;
  const sign: f32 = slot(args, 10) != 0 ? -1 : 1;
  const end = min(slot(args, 5), (task + 1) * rowSpan);
  for (let i = task * rowSpan; i < end; i++) {
    const angle = <usize>load<i32>(<usize>slot(args, 3) + (<usize>i << 2)) * <usize>half << 2;
    const cos = <usize>slot(args, 1) + angle;
    const sin = <usize>slot(args, 2) + angle;
    for (let h = 0; h < heads; h++) {
      const at = <usize>(i * heads + h) * <usize>d << 2;
      const x = <usize>slot(args, 0) + at;
      const y = <usize>slot(args, 4) + at;
      if (2 * half < d) memory.copy(y + (<usize>half << 3), x + (<usize>half << 3), <usize>(d - 2 * half) << 2);
      if (interleaved) {
        for (let j = 0; j < half; j++) {
          const c = load<f32>(cos + (<usize>j << 2));
          const s = sign * load<f32>(sin + (<usize>j << 2));
          const a = load<f32>(x + (<usize>j << 3));
          const b = load<f32>(x + (<usize>j << 3), 4);
          store<f32>(y + (<usize>j << 3), a * c - b * s);
          store<f32>(y + (<usize>j << 3), b * c + a * s, 4);
        }
        continue;
      }
      const second = <usize>half << 2;
      const sign4 = f32x4.splat(sign);
      let j = 0;
      for (; j + 4 <= half; j += 4) {
        const p = <usize>j << 2;
        const c = v128.load(cos + p);
        const s = f32x4.mul(sign4, v128.load(sin + p));
        const a = v128.load(x + p);
        const b = v128.load(x + second + p);
        v128.store(y + p, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)));
        v128.store(y + second + p, f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s)));
      }
      for (; j < half; j++) {
        const p = <usize>j << 2;
        const c = load<f32>(cos + p);
        const s = sign * load<f32>(sin + p);
        const a = load<f32>(x + p);
        const b = load<f32>(x + second + p);
        store<f32>(y + p, a * c - b * s);
        store<f32>(y + second + p, b * c + a * s);
      }
    }
  }
}

/** table, ids, y, M, N */
export function gather(args: usize, task: i32): void {
  const bytes = <usize>slot(args, 4) << 2;
  const end = min(slot(args, 3), (task + 1) * rowSpan);
  for (let i = task * rowSpan; i < end; i++) {
    const id = <usize>load<i32>(<usize>slot(args, 1) + (<usize>i << 2));
    memory.copy(<usize>slot(args, 2) + <usize>i * bytes, <usize>slot(args, 0) + id * bytes, bytes);
  }
}

/** Columns of a scatter task: one writer a column, so that equal ids add up in order. */
export const scatterSpan = 64;

/** rows, ids, table, M, N, size */
export function scatterAdd(args: usize, task: i32): void {
  const n = slot(args, 4);
  const from = task * scatterSpan;
  const width = min(scatterSpan, n - from);
  const shift = <usize>from << 2;
  const bytes = <usize>n << 2;
  for (let i = 0; i < slot(args, 5); i++)
    memory.fill(<usize>slot(args, 2) + <usize>i * bytes + shift, 0, <usize>width << 2);
  for (let i = 0; i < slot(args, 3); i++) {
    const id = <usize>load<i32>(<usize>slot(args, 1) + (<usize>i << 2));
    axpy(1, <usize>slot(args, 0) + <usize>i * bytes + shift, <usize>slot(args, 2) + id * bytes + shift, width);
  }
}

/** cache, rows, layout, B, S, T, W */
export function cacheWrite(args: usize, task: i32): void {
  const s = slot(args, 4);
  const t = slot(args, 5);
  const bytes = <usize>slot(args, 6) << 2;
  const offset = load<i32>(<usize>slot(args, 2) + <usize>task * 12);
  memory.copy(
    <usize>slot(args, 0) + <usize>(task * s + offset) * bytes,
    <usize>slot(args, 1) + <usize>(task * t) * bytes,
    <usize>t * bytes,
  );
}
