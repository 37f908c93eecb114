import { madd } from "./multiply-add.as";
import { slot } from "./gemm.as";
import { axpy, dot, exp1, exp4, log1, max4, sum4, sums4 } from "./vector-math.as";

// One task is one row of the batch and one key head, with all query heads that share it: so every gradient has one writer.
// With a bias, which all rows of the batch share, a gradient's task is one key head and every row.
// Arguments: q, k, v, layout, out, logSumExp, B, T, S, heads, kvHeads, D, scale, scratch, scratchBytes, dy, dq, dk, dv, window, bias or 0, dbias

// @ts-ignore: decorator
@inline
function float(args: usize, i: i32): f32 {
  return load<f32>(args + (<usize>i << 2));
}

/** scores[j] = scale·q·kⱼ for from ≤ j < to; four keys at a time. */
function scoreKeys(q: usize, k: usize, row: usize, from: i32, to: i32, d: i32, scale: f32, scores: usize): void {
  let j = from;
  const factor = f32x4.splat(scale);
  const bytes = <usize>d << 2;
  for (; j + 4 <= to; j += 4) {
    const k0 = k + <usize>j * row;
    const k1 = k0 + row;
    const k2 = k1 + row;
    const k3 = k2 + row;
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    for (let p: usize = 0; p < bytes; p += 16) {
      const x = v128.load(q + p);
      s0 = madd(x, v128.load(k0 + p), s0);
      s1 = madd(x, v128.load(k1 + p), s1);
      s2 = madd(x, v128.load(k2 + p), s2);
      s3 = madd(x, v128.load(k3 + p), s3);
    }
    v128.store(scores + (<usize>j << 2), f32x4.mul(sums4(s0, s1, s2, s3), factor));
  }
  for (; j < to; j++) store<f32>(scores + (<usize>j << 2), scale * dot(q, k + <usize>j * row, d));
}

/** The largest of scores[from … to). */
function largest(scores: usize, from: i32, to: i32, start: f32): f32 {
  let best = start;
  let j = from;
  if (j + 4 <= to) {
    let x = v128.load(scores + (<usize>j << 2));
    for (j += 4; j + 4 <= to; j += 4) x = f32x4.max(x, v128.load(scores + (<usize>j << 2)));
    best = max<f32>(best, max4(x));
  }
  for (; j < to; j++) best = max<f32>(best, load<f32>(scores + (<usize>j << 2)));
  return best;
}

/** scores[j] = e^{scores[j] − shift}; their sum. */
function exponentiate(scores: usize, from: i32, to: i32, shift: f32): f32 {
  let j = from;
  let sums = f32x4.splat(0);
  const s = f32x4.splat(shift);
  for (; j + 4 <= to; j += 4) {
    const at = scores + (<usize>j << 2);
    const e = exp4(f32x4.sub(v128.load(at), s));
    v128.store(at, e);
    sums = f32x4.add(sums, e);
  }
  let sum = sum4(sums);
  for (; j < to; j++) {
    const at = scores + (<usize>j << 2);
    const e = exp1(load<f32>(at) - shift);
    store<f32>(at, e);
    sum += e;
  }
  return sum;
}

/** out += Σ weights[j]·vⱼ, sixteen dimensions at a time. */
function addRows(weights: usize, v: usize, row: usize, from: i32, to: i32, d: i32, out: usize): void {
  let p: usize = 0;
  const bytes = <usize>d << 2;
  for (; p + 64 <= bytes; p += 64) {
    let a = v128.load(out + p);
    let b = v128.load(out + p, 16);
    let c = v128.load(out + p, 32);
    let e = v128.load(out + p, 48);
    let at = v + p + <usize>from * row;
    for (let j = from; j < to; j++) {
      const w = v128.load32_splat(weights + (<usize>j << 2));
      a = madd(w, v128.load(at), a);
      b = madd(w, v128.load(at, 16), b);
      c = madd(w, v128.load(at, 32), c);
      e = madd(w, v128.load(at, 48), e);
      at += row;
    }
    v128.store(out + p, a);
    v128.store(out + p, b, 16);
    v128.store(out + p, c, 32);
    v128.store(out + p, e, 48);
  }
  for (; p < bytes; p += 16) {
    let a = v128.load(out + p);
    let at = v + p + <usize>from * row;
    for (let j = from; j < to; j++) {
      a = madd(v128.load32_splat(weights + (<usize>j << 2)), v128.load(at), a);
      at += row;
    }
    v128.store(out + p, a);
  }
}

/** The first keys' end, and the second range, that a query at index a of the row sees; `firstFrom` by the window. */
// @ts-ignore: decorator
@inline
function firstEnd(a: i32, prefixEnd: i32, branch: i32): i32 {
  return a < branch ? a + 1 : prefixEnd;
}

// @ts-ignore: decorator
@inline
function windowStart(a: i32, window: i32): i32 {
  return window > 0 ? max(0, a - window + 1) : 0;
}

/** scores[j] += bias[j] for from ≤ j < to. */
function addBias(scores: usize, bias: usize, from: i32, to: i32): void {
  let j = from;
  for (; j + 4 <= to; j += 4) {
    const at = <usize>j << 2;
    v128.store(scores + at, f32x4.add(v128.load(scores + at), v128.load(bias + at)));
  }
  for (; j < to; j++) {
    const at = <usize>j << 2;
    store<f32>(scores + at, load<f32>(scores + at) + load<f32>(bias + at));
  }
}

export function attention(args: usize, task: i32, worker: i32): void {
  const t = slot(args, 7);
  const s = slot(args, 8);
  const heads = slot(args, 9);
  const kvHeads = slot(args, 10);
  const d = slot(args, 11);
  const scale = float(args, 12);
  const window = slot(args, 19);
  const biases = <usize>slot(args, 20);
  const group = heads / kvHeads;
  const b = task / kvHeads;
  const kvHead = task % kvHeads;
  const qRow = <usize>(heads * d) << 2;
  const kRow = <usize>(kvHeads * d) << 2;
  const layout = <usize>slot(args, 3) + <usize>b * 12;
  const offset = load<i32>(layout);
  const prefixEnd = load<i32>(layout, 4);
  const branch = load<i32>(layout, 8);
  const k = <usize>slot(args, 1) + <usize>b * <usize>s * kRow + (<usize>(kvHead * d) << 2);
  const v = <usize>slot(args, 2) + <usize>b * <usize>s * kRow + (<usize>(kvHead * d) << 2);
  const scores = <usize>slot(args, 13) + <usize>worker * <usize>slot(args, 14);
  const least: f32 = -f32.MAX_VALUE * 2;
  for (let g = 0; g < group; g++) {
    const head = kvHead * group + g;
    for (let i = 0; i < t; i++) {
      const place = <usize>(b * t + i) * qRow + (<usize>(head * d) << 2);
      const q = <usize>slot(args, 0) + place;
      const out = <usize>slot(args, 4) + place;
      const a = offset + i;
      const start = windowStart(a, window);
      const end = min(s, firstEnd(a, prefixEnd, branch));
      const second = a < branch ? 0 : max(branch, start);
      const secondEnd = a < branch ? 0 : min(s, a + 1);
      scoreKeys(q, k, kRow, start, end, d, scale, scores);
      scoreKeys(q, k, kRow, second, secondEnd, d, scale, scores);
      if (biases) {
        const bias = biases + (<usize>((head * t + i) * s) << 2);
        addBias(scores, bias, start, end);
        addBias(scores, bias, second, secondEnd);
      }
      const top = largest(scores, second, secondEnd, largest(scores, start, end, least));
      memory.fill(out, 0, <usize>d << 2);
      const lse = <usize>slot(args, 5) + (<usize>((b * heads + head) * t + i) << 2);
      if (top == least) {
        store<f32>(lse, least);
        continue;
      }
      const sum = exponentiate(scores, start, end, top) + exponentiate(scores, second, secondEnd, top);
      addRows(scores, v, kRow, start, end, d, out);
      addRows(scores, v, kRow, second, secondEnd, d, out);
      const inverse = f32x4.splat(1 / sum);
      for (let p: usize = 0; p < <usize>d << 2; p += 16) v128.store(out + p, f32x4.mul(v128.load(out + p), inverse));
      store<f32>(lse, top + log1(sum));
    }
  }
}

/** Probabilities and score gradients of keys from … to, then their shares of dq, dk and dv. */
function keyGradients(
  q: usize, k: usize, v: usize, dout: usize, dq: usize, dk: usize, dv: usize, row: usize,
  from: i32, to: i32, d: i32, scale: f32, lse: f32, delta: f32, p: usize, ds: usize, bias: usize, dbias: usize,
): void {
  if (from >= to) return;
  scoreKeys(q, k, row, from, to, d, scale, p);
  if (bias) addBias(p, bias, from, to);
  exponentiate(p, from, to, lse);
  scoreKeys(dout, v, row, from, to, d, 1, ds);
  for (let j = from; j < to; j++) {
    const at = <usize>j << 2;
    const slope = load<f32>(p + at) * (load<f32>(ds + at) - delta);
    store<f32>(ds + at, slope * scale);
    if (bias) store<f32>(dbias + at, load<f32>(dbias + at) + slope);
  }
  addRows(ds, k, row, from, to, d, dq);
  for (let j = from; j < to; j++) {
    const at = <usize>j * row;
    const w = v128.load32_splat(p + (<usize>j << 2));
    const g = v128.load32_splat(ds + (<usize>j << 2));
    const a = dv + at;
    const b = dk + at;
    for (let x: usize = 0; x < <usize>d << 2; x += 16) {
      v128.store(a + x, madd(w, v128.load(dout + x), v128.load(a + x)));
      v128.store(b + x, madd(g, v128.load(q + x), v128.load(b + x)));
    }
  }
}

/** The gradients of one row of the batch and one key head. */
function rowGradients(args: usize, b: i32, kvHead: i32, worker: i32): void {
  const t = slot(args, 7);
  const s = slot(args, 8);
  const heads = slot(args, 9);
  const kvHeads = slot(args, 10);
  const d = slot(args, 11);
  const scale = float(args, 12);
  const window = slot(args, 19);
  const biases = <usize>slot(args, 20);
  const group = heads / kvHeads;
  const qRow = <usize>(heads * d) << 2;
  const kRow = <usize>(kvHeads * d) << 2;
  const layout = <usize>slot(args, 3) + <usize>b * 12;
  const offset = load<i32>(layout);
  const prefixEnd = load<i32>(layout, 4);
  const branch = load<i32>(layout, 8);
  const from = <usize>b * <usize>s * kRow + (<usize>(kvHead * d) << 2);
  const k = <usize>slot(args, 1) + from;
  const v = <usize>slot(args, 2) + from;
  const dk = <usize>slot(args, 17) + from;
  const dv = <usize>slot(args, 18) + from;
  const p = <usize>slot(args, 13) + <usize>worker * <usize>slot(args, 14);
  const ds = p + (<usize>(s + 4) << 2);
  for (let j = 0; j < s; j++) {
    memory.fill(dk + <usize>j * kRow, 0, <usize>d << 2);
    memory.fill(dv + <usize>j * kRow, 0, <usize>d << 2);
  }
  for (let g = 0; g < group; g++) {
    const head = kvHead * group + g;
    for (let i = 0; i < t; i++) {
      const at = <usize>(b * t + i) * qRow + (<usize>(head * d) << 2);
      const q = <usize>slot(args, 0) + at;
      const dout = <usize>slot(args, 15) + at;
      const dq = <usize>slot(args, 16) + at;
      memory.fill(dq, 0, <usize>d << 2);
      const lse = load<f32>(<usize>slot(args, 5) + (<usize>((b * heads + head) * t + i) << 2));
      if (lse < -f32.MAX_VALUE) continue;
      const delta = dot(dout, <usize>slot(args, 4) + at, d);
      const a = offset + i;
      const start = windowStart(a, window);
      const place = <usize>((head * t + i) * s) << 2;
      const bias = biases ? biases + place : 0;
      const dbias = <usize>slot(args, 21) + place;
      keyGradients(q, k, v, dout, dq, dk, dv, kRow, start, min(s, firstEnd(a, prefixEnd, branch)), d, scale, lse, delta, p, ds, bias, dbias);
      if (a >= branch)
        keyGradients(q, k, v, dout, dq, dk, dv, kRow, max(branch, start), min(s, a + 1), d, scale, lse, delta, p, ds, bias, dbias);
    }
  }
}

export function attentionGrad(args: usize, task: i32, worker: i32): void {
  const kvHeads = slot(args, 10);
  if (!slot(args, 20)) {
    rowGradients(args, task / kvHeads, task % kvHeads, worker);
    return;
  }
  const group = slot(args, 9) / kvHeads;
  const each = <usize>(slot(args, 7) * slot(args, 8) * group) << 2;
  memory.fill(<usize>slot(args, 21) + <usize>task * each, 0, each);
  for (let b = 0; b < slot(args, 6); b++) rowGradients(args, b, task, worker);
}
