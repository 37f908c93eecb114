import { slot } from "./gemm.as";
import { absorb, at, buildKernel, float, infinity, put } from "./gibbs-kernel.as";
import { madd } from "./multiply-add.as";
import { axpy, dot, exp1, log1 } from "./vector-math.as";

/** How far an exponent may be from the shifts before K is made anew. */
const reach: f32 = 16;

// The arguments of `sinkhornGrad`:
// 0 cost, 1 a, 2 b, 3 f at the start, 4 g at the start, 5 history of f [B, T, n], 6 of g, 7 steps, 8 df [B, n], 9 dg [B, m], 10 dcost,
// 11 da, 12 db, 13 dg at the start, 14 scratch, 15 its bytes a worker, 16 n, 17 m, 18 T, 19 λ, 20 and 21 damping, 22 ω, 23 df at the start

/** Whether potentials lie within reach of the shifts. */
function isWithin(potential: usize, marginal: usize, shift: usize, n: i32, lambda: f32): bool {
  for (let i = 0; i < n; i++) {
    const mass = at(marginal, i);
    if (mass == 0) continue;
    const x = (at(potential, i) - at(shift, i)) / lambda - log1(mass);
    if (!(x > -reach && x < reach)) return false;
  }
  return true;
}

/** The undamped half-step behind a relaxed potential, where only the two potentials are known. */
function undone(now: usize, before: usize, out: usize, n: i32, omega: f32, damping: f32): void {
  for (let i = 0; i < n; i++) {
    const x = at(now, i);
    if (x == -infinity) put(out, i, x);
    else put(out, i, (omega == 1 ? x : (x - (1 - omega) * at(before, i)) / omega) / damping);
  }
}

/** out = exp((potential − shift)/λ)·factor/marginal, 0 without mass; without a factor, not divided either. */
function weights(potential: usize, shift: usize, marginal: usize, factor: usize, out: usize, n: i32, lambda: f32): void {
  for (let i = 0; i < n; i++) {
    const mass = at(marginal, i);
    let x: f32 = 0;
    if (mass != 0) {
      x = exp1((at(potential, i) - at(shift, i)) / lambda);
      if (factor != 0) x *= at(factor, i) / mass;
    }
    put(out, i, x);
  }
}

/** row of dcost += p·K·q */
// @ts-ignore: decorator
@inline
function addProduct(dc: usize, k: usize, p: f32, q: usize, m: i32): void {
  const p4 = f32x4.splat(p);
  let j = 0;
  for (; j + 4 <= m; j += 4) {
    const o = <usize>j << 2;
    v128.store(dc + o, madd(f32x4.mul(v128.load(k + o), p4), v128.load(q + o), v128.load(dc + o)));
  }
  for (; j < m; j++) put(dc, j, at(dc, j) + at(k, j) * p * at(q, j));
}

/** Backwards through the iterations, from potentials alone. */
export function sinkhornGrad(args: usize, task: i32, worker: i32): void {
  const n = slot(args, 16);
  const m = slot(args, 17);
  const iterations = slot(args, 18);
  const lambda = float(args, 19);
  const rowDamping = float(args, 20);
  const columnDamping = float(args, 21);
  const omega = float(args, 22);
  const rowBytes = <usize>n << 2;
  const columnBytes = <usize>m << 2;
  const size = <usize>n * columnBytes;
  const c = <usize>slot(args, 0) + <usize>task * size;
  const a = <usize>slot(args, 1) + <usize>task * rowBytes;
  const b = <usize>slot(args, 2) + <usize>task * columnBytes;
  const dc = <usize>slot(args, 10) + <usize>task * size;
  const da = <usize>slot(args, 11) + <usize>task * rowBytes;
  const db = <usize>slot(args, 12) + <usize>task * columnBytes;
  const dg = <usize>slot(args, 13) + <usize>task * columnBytes;
  const df = <usize>slot(args, 23) + <usize>task * rowBytes;
  const k = <usize>slot(args, 14) + <usize>worker * <usize>slot(args, 15);
  const phi = k + size;
  const p = phi + rowBytes;
  const fHalf = p + rowBytes;
  const h = fHalf + rowBytes;
  const gamma = h + rowBytes;
  const q = gamma + columnBytes;
  const gHalf = q + columnBytes;
  const e = gHalf + columnBytes;
  memory.copy(df, <usize>slot(args, 8) + <usize>task * rowBytes, rowBytes);
  memory.copy(dg, <usize>slot(args, 9) + <usize>task * columnBytes, columnBytes);
  memory.fill(dc, 0, size);
  memory.fill(da, 0, rowBytes);
  memory.fill(db, 0, columnBytes);
  let built = false;
  for (let step = load<i32>(<usize>slot(args, 7) + (<usize>task << 2)) - 1; step >= 0; step--) {
    const f = <usize>slot(args, 5) + (<usize>task * <usize>iterations + <usize>step) * rowBytes;
    const g = <usize>slot(args, 6) + (<usize>task * <usize>iterations + <usize>step) * columnBytes;
    const fBefore = step > 0 ? f - rowBytes : <usize>slot(args, 3) + <usize>task * rowBytes;
    const gBefore = step > 0 ? g - columnBytes : <usize>slot(args, 4) + <usize>task * columnBytes;
    // The columns' half-step: ∂g/∂C is the softmax over each column, ∂g/∂f minus it.
    undone(g, gBefore, gHalf, m, omega, columnDamping);
    if (!built || !isWithin(f, a, phi, n, lambda) || !isWithin(gHalf, b, gamma, m, lambda)) {
      absorb(f, a, phi, p, n, lambda);
      absorb(gHalf, b, gamma, q, m, lambda);
      buildKernel(c, k, phi, gamma, n, m, lambda);
      built = true;
    }
    for (let j = 0; j < m; j++) {
      const x = omega * columnDamping * at(dg, j);
      put(e, j, x);
      if (at(b, j) != 0) put(db, j, at(db, j) + (lambda * x) / at(b, j));
      put(dg, j, (1 - omega) * at(dg, j));
    }
    weights(f, phi, a, 0, p, n, lambda);
    weights(gHalf, gamma, b, e, q, m, lambda);
    for (let i = 0; i < n; i++) {
      const row = <usize>i * columnBytes;
      put(df, i, at(df, i) - at(p, i) * dot(k + row, q, m));
      addProduct(dc + row, k + row, at(p, i), q, m);
    }
    // The rows' half-step likewise; what the other side was before it is a start of 0 on live points.
    undone(f, fBefore, fHalf, n, omega, rowDamping);
    for (let j = 0; j < m; j++) put(gHalf, j, at(b, j) == 0 ? -infinity : at(gBefore, j));
    if (!isWithin(fHalf, a, phi, n, lambda) || !isWithin(gHalf, b, gamma, m, lambda)) {
      absorb(fHalf, a, phi, p, n, lambda);
      absorb(gHalf, b, gamma, q, m, lambda);
      buildKernel(c, k, phi, gamma, n, m, lambda);
    }
    for (let i = 0; i < n; i++) {
      const x = omega * rowDamping * at(df, i);
      put(h, i, x);
      if (at(a, i) != 0) put(da, i, at(da, i) + (lambda * x) / at(a, i));
      put(df, i, (1 - omega) * at(df, i));
    }
    weights(fHalf, phi, a, h, p, n, lambda);
    weights(gHalf, gamma, b, 0, q, m, lambda);
    memory.fill(e, 0, columnBytes);
    for (let i = 0; i < n; i++) {
      const row = <usize>i * columnBytes;
      axpy(at(p, i), k + row, e, m);
      addProduct(dc + row, k + row, at(p, i), q, m);
    }
    for (let j = 0; j < m; j++) put(dg, j, at(dg, j) - at(q, j) * at(e, j));
  }
}
