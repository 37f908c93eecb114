import { slot } from "./gemm.as";
import { absorb, at, buildKernel, float, infinity, put } from "./gibbs-kernel.as";
import { madd } from "./multiply-add.as";
import { axpy, dot, exp1, exp4, log1, sum4 } from "./vector-math.as";

/** How far a scaling may go from its marginal before the shifts take it up. */
const reach: f32 = 1e7;
/** What share of the weights a sum must keep to be believed, given what K has lost. */
const trust: f32 = 1e-17;

function sum(x: usize, n: i32): f32 {
  let total: f64 = 0;
  for (let i = 0; i < n; i++) total += <f64>at(x, i);
  return <f32>total;
}

/** minⱼ Cᵢⱼ − γⱼ of every row, or −∞ where the row has no mass. */
function leastOfRows(c: usize, gamma: usize, a: usize, phi: usize, n: i32, m: i32): void {
  for (let i = 0; i < n; i++) {
    const row = c + (<usize>i * <usize>m << 2);
    if (at(a, i) == 0) {
      put(phi, i, -infinity);
      continue;
    }
    let low = infinity;
    let j = 0;
    if (m >= 4) {
      let low4 = f32x4.splat(infinity);
      for (; j + 4 <= m; j += 4) {
        const p = <usize>j << 2;
        low4 = f32x4.min(low4, f32x4.sub(v128.load(row + p), v128.load(gamma + p)));
      }
      low = min<f32>(
        min<f32>(f32x4.extract_lane(low4, 0), f32x4.extract_lane(low4, 1)),
        min<f32>(f32x4.extract_lane(low4, 2), f32x4.extract_lane(low4, 3)),
      );
    }
    for (; j < m; j++) low = min<f32>(low, at(row, j) - at(gamma, j));
    put(phi, i, low);
  }
}

/** Four rows against one vector, their sums as the lanes of one. */
// @ts-ignore: decorator
@inline
function dots4(k: usize, bytes: usize, beta: usize, m: i32): v128 {
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  let s2 = f32x4.splat(0);
  let s3 = f32x4.splat(0);
  let j = 0;
  for (; j + 4 <= m; j += 4) {
    const p = k + (<usize>j << 2);
    const b = v128.load(beta + (<usize>j << 2));
    s0 = madd(v128.load(p), b, s0);
    s1 = madd(v128.load(p + bytes), b, s1);
    s2 = madd(v128.load(p + 2 * bytes), b, s2);
    s3 = madd(v128.load(p + 3 * bytes), b, s3);
  }
  let r0 = sum4(s0);
  let r1 = sum4(s1);
  let r2 = sum4(s2);
  let r3 = sum4(s3);
  for (; j < m; j++) {
    const p = k + (<usize>j << 2);
    const b = at(beta, j);
    r0 += load<f32>(p) * b;
    r1 += load<f32>(p + bytes) * b;
    r2 += load<f32>(p + 2 * bytes) * b;
    r3 += load<f32>(p + 3 * bytes) * b;
  }
  return f32x4.replace_lane(f32x4.replace_lane(f32x4.replace_lane(f32x4.splat(r0), 1, r1), 2, r2), 3, r3);
}

/** t += Σ of four rows, each times its factor. */
// @ts-ignore: decorator
@inline
function axpy4(factors: usize, k: usize, bytes: usize, t: usize, m: i32): void {
  const a0 = v128.load32_splat(factors);
  const a1 = v128.load32_splat(factors, 4);
  const a2 = v128.load32_splat(factors, 8);
  const a3 = v128.load32_splat(factors, 12);
  let j = 0;
  for (; j + 4 <= m; j += 4) {
    const p = k + (<usize>j << 2);
    const q = t + (<usize>j << 2);
    let s = madd(v128.load(p), a0, v128.load(q));
    s = madd(v128.load(p + bytes), a1, s);
    s = madd(v128.load(p + 2 * bytes), a2, s);
    v128.store(q, madd(v128.load(p + 3 * bytes), a3, s));
  }
  for (; j < m; j++) {
    const p = k + (<usize>j << 2);
    let s = at(t, j) + load<f32>(p) * load<f32>(factors);
    s += load<f32>(p + bytes) * load<f32>(factors, 4);
    s += load<f32>(p + 2 * bytes) * load<f32>(factors, 8);
    put(t, j, s + load<f32>(p + 3 * bytes) * load<f32>(factors, 12));
  }
}

// The arguments of `sinkhorn`:
// 0 cost [B, n, m], 1 a [B, n], 2 b [B, m], 3 f at the start, 4 g at the start, 5 f, 6 g, 7 steps int32 [B], 8 plan, 9 rows, 10 columns,
// 11 ⟨plan, cost⟩ [B], 12 scratch, 13 its bytes a worker, 14 history of f [B, T, n] or 0, 15 of g [B, T, m], 16 n, 17 m, 18 iterations T,
// 19 check every, 20 λ, 21 tolerance, 22 and 23 damping of rows and of columns, 24 relaxation ω

/** Whether a scaling is near enough to its marginal. */
// @ts-ignore: decorator
@inline
function isNear(scaling: f32, marginal: f32): bool {
  return scaling < marginal * reach && scaling * reach > marginal;
}

/** (1 − ω)·old + ω·damping·half, without a product of 0 and ∞. */
// @ts-ignore: decorator
@inline
function relaxed(old: f32, half: f32, omega: f32, damping: f32): f32 {
  return omega == 1 ? damping * half : (1 - omega) * old + omega * damping * half;
}

/** One iteration on the potentials themselves. */
function logIteration(args: usize, c: usize, a: usize, b: usize, f: usize, g: usize, high: usize, sums: usize): void {
  const n = slot(args, 16);
  const m = slot(args, 17);
  const lambda = float(args, 20);
  const inverse = f32x4.splat(1 / lambda);
  const omega = float(args, 24);
  for (let j = 0; j < m; j++) {
    put(high, j, -infinity);
    put(sums, j, 0);
  }
  for (let i = 0; i < n; i++) {
    const row = c + (<usize>i * <usize>m << 2);
    const mass = at(a, i);
    if (mass == 0) {
      put(f, i, -infinity);
      continue;
    }
    let top: f32 = -infinity;
    for (let j = 0; j < m; j++) top = max<f32>(top, at(g, j) - at(row, j));
    let total: f32 = 0;
    let j = 0;
    let total4 = f32x4.splat(0);
    const top4 = f32x4.splat(top);
    for (; j + 4 <= m; j += 4) {
      const p = <usize>j << 2;
      const x = f32x4.sub(f32x4.sub(v128.load(g + p), v128.load(row + p)), top4);
      total4 = f32x4.add(total4, exp4(f32x4.mul(x, inverse)));
    }
    total = sum4(total4);
    for (; j < m; j++) total += exp1((at(g, j) - at(row, j) - top) / lambda);
    const half = lambda * (log1(mass) - log1(total)) - top;
    const now = relaxed(at(f, i), half, omega, float(args, 22));
    put(f, i, now);
    for (j = 0; j < m; j++) put(high, j, max<f32>(at(high, j), now - at(row, j)));
  }
  for (let i = 0; i < n; i++) {
    if (at(a, i) == 0) continue;
    const row = c + (<usize>i * <usize>m << 2);
    const now = f32x4.splat(at(f, i));
    let j = 0;
    for (; j + 4 <= m; j += 4) {
      const p = <usize>j << 2;
      const x = f32x4.sub(f32x4.sub(now, v128.load(row + p)), v128.load(high + p));
      v128.store(sums + p, f32x4.add(v128.load(sums + p), exp4(f32x4.mul(x, inverse))));
    }
    for (; j < m; j++) put(sums, j, at(sums, j) + exp1((at(f, i) - at(row, j) - at(high, j)) / lambda));
  }
  for (let j = 0; j < m; j++) {
    const mass = at(b, j);
    if (mass == 0) {
      put(g, j, -infinity);
      continue;
    }
    const half = lambda * (log1(mass) - log1(at(sums, j))) - at(high, j);
    put(g, j, relaxed(at(g, j), half, omega, float(args, 23)));
  }
}

/** potential = shift + λ·log scaling, −∞ where there is no mass. */
function potentials(shift: usize, scaling: usize, potential: usize, n: i32, lambda: f32): void {
  for (let i = 0; i < n; i++)
    put(potential, i, at(scaling, i) == 0 ? -infinity : at(shift, i) + lambda * log1(at(scaling, i)));
}

/** How far one more half-step would move the plan, Σ|rows·(exp((f* − f)/λ) − 1)|: for given marginals the rows' error. */
function movement(args: usize, k: usize, a: usize, f: usize, phi: usize, alpha: usize, beta: usize): f32 {
  const n = slot(args, 16);
  const m = slot(args, 17);
  const lambda = float(args, 20);
  const damping = float(args, 22);
  let total: f64 = 0;
  for (let i = 0; i < n; i++) {
    const mass = at(a, i);
    if (mass == 0) continue;
    const s = dot(k + (<usize>i * <usize>m << 2), beta, m);
    const now = at(alpha, i) * s;
    if (damping == 1) {
      total += <f64>abs<f32>(mass - now);
      continue;
    }
    const half = damping * (at(phi, i) + lambda * (log1(mass) - log1(s)));
    total += <f64>abs<f32>(now * (exp1((half - at(f, i)) / lambda) - 1));
  }
  return <f32>total;
}

/** One iteration on K, with one pass over it; 0 when K is too poor for it, 2 when the scalings should be taken up. */
function scalingIteration(
  args: usize, k: usize, a: usize, b: usize, f: usize, g: usize, phi: usize, gamma: usize,
  alpha: usize, beta: usize, fresh: usize, t: usize,
): i32 {
  const n = slot(args, 16);
  const m = slot(args, 17);
  const lambda = float(args, 20);
  const rowDamping = float(args, 22);
  const columnDamping = float(args, 23);
  const omega = float(args, 24);
  const isSimple = omega == 1 && rowDamping == 1 && columnDamping == 1;
  const bytes = <usize>m << 2;
  memory.fill(t, 0, bytes);
  const bound = trust * sum(beta, m);
  let far = false;
  for (let i = 0; i < n; i += 4) {
    const height = min(4, n - i);
    const row = k + <usize>i * bytes;
    let s4 = f32x4.splat(0);
    if (height == 4) s4 = dots4(row, bytes, beta, m);
    for (let r = 0; r < height; r++) {
      const mass = at(a, i + r);
      if (mass == 0) {
        put(alpha, i + r, 0);
        put(fresh, i + r, -infinity);
        continue;
      }
      let s: f32;
      if (height < 4) s = dot(row + <usize>r * bytes, beta, m);
      else if (r == 0) s = f32x4.extract_lane(s4, 0);
      else if (r == 1) s = f32x4.extract_lane(s4, 1);
      else if (r == 2) s = f32x4.extract_lane(s4, 2);
      else s = f32x4.extract_lane(s4, 3);
      // Written so that NaN is refused too.
      if (!(s > bound && s < infinity)) return 0;
      let scaling: f32;
      if (isSimple) scaling = mass / s;
      else {
        const half = at(phi, i + r) + lambda * (log1(mass) - log1(s));
        const now = relaxed(at(f, i + r), half, omega, rowDamping);
        put(fresh, i + r, now);
        scaling = exp1((now - at(phi, i + r)) / lambda);
        if (!(scaling > f32.MIN_NORMAL_VALUE && scaling < infinity)) return 0;
      }
      if (!isNear(scaling, mass)) far = true;
      put(alpha, i + r, scaling);
    }
    if (height == 4) axpy4(alpha + (<usize>i << 2), row, bytes, t, m);
    else for (let r = 0; r < height; r++) axpy(at(alpha, i + r), row + <usize>r * bytes, t, m);
  }
  const columnBound = trust * sum(alpha, n);
  for (let j = 0; j < m; j++) {
    const mass = at(b, j);
    if (mass == 0) continue;
    if (!(at(t, j) > columnBound && at(t, j) < infinity)) return 0;
    if (isSimple) continue;
    const half = at(gamma, j) + lambda * (log1(mass) - log1(at(t, j)));
    const scaling = exp1((relaxed(at(g, j), half, omega, columnDamping) - at(gamma, j)) / lambda);
    if (!(scaling > f32.MIN_NORMAL_VALUE && scaling < infinity)) return 0;
  }
  for (let j = 0; j < m; j++) {
    const mass = at(b, j);
    let scaling: f32 = 0;
    if (mass == 0) put(g, j, -infinity);
    else if (isSimple) scaling = mass / at(t, j);
    else {
      const half = at(gamma, j) + lambda * (log1(mass) - log1(at(t, j)));
      const now = relaxed(at(g, j), half, omega, columnDamping);
      put(g, j, now);
      scaling = exp1((now - at(gamma, j)) / lambda);
    }
    if (mass != 0 && !isNear(scaling, mass)) far = true;
    put(beta, j, scaling);
  }
  if (!isSimple) memory.copy(f, fresh, <usize>n << 2);
  return far ? 2 : 1;
}

export function sinkhorn(args: usize, task: i32, worker: i32): void {
  const n = slot(args, 16);
  const m = slot(args, 17);
  const iterations = slot(args, 18);
  const every = slot(args, 19);
  const lambda = float(args, 20);
  const tolerance = float(args, 21);
  const isSimple = float(args, 22) == 1 && float(args, 23) == 1 && float(args, 24) == 1;
  const rowBytes = <usize>n << 2;
  const columnBytes = <usize>m << 2;
  const size = <usize>n * columnBytes;
  const c = <usize>slot(args, 0) + <usize>task * size;
  const a = <usize>slot(args, 1) + <usize>task * rowBytes;
  const b = <usize>slot(args, 2) + <usize>task * columnBytes;
  const f = <usize>slot(args, 5) + <usize>task * rowBytes;
  const g = <usize>slot(args, 6) + <usize>task * columnBytes;
  const k = <usize>slot(args, 8) + <usize>task * size;
  const phi = <usize>slot(args, 12) + <usize>worker * <usize>slot(args, 13);
  const alpha = phi + rowBytes;
  const fresh = alpha + rowBytes;
  const gamma = fresh + rowBytes;
  const beta = gamma + columnBytes;
  const t = beta + columnBytes;
  const sums = t + columnBytes;
  memory.copy(f, <usize>slot(args, 3) + <usize>task * rowBytes, rowBytes);
  memory.copy(g, <usize>slot(args, 4) + <usize>task * columnBytes, columnBytes);
  for (let j = 0; j < m; j++) {
    const live = at(b, j) != 0 && at(g, j) != -infinity;
    if (!live) put(g, j, -infinity);
    put(gamma, j, live ? at(g, j) : -infinity);
    put(beta, j, live ? 1 : 0);
  }
  leastOfRows(c, gamma, a, phi, n, m);
  buildKernel(c, k, phi, gamma, n, m, lambda);
  let step = 0;
  for (; step < iterations; step++) {
    if (tolerance > 0 && step > 0 && step % every == 0 && movement(args, k, a, f, phi, alpha, beta) <= tolerance) break;
    const outcome = scalingIteration(args, k, a, b, f, g, phi, gamma, alpha, beta, fresh, t);
    if (outcome == 0) {
      // β is still the last iteration's, and so are f and g where they are kept.
      if (isSimple) potentials(gamma, beta, g, m, lambda);
      logIteration(args, c, a, b, f, g, t, sums);
    } else if (isSimple && (outcome == 2 || slot(args, 14) != 0)) {
      potentials(phi, alpha, f, n, lambda);
      potentials(gamma, beta, g, m, lambda);
    }
    if (outcome != 1) {
      absorb(f, a, phi, alpha, n, lambda);
      absorb(g, b, gamma, beta, m, lambda);
      buildKernel(c, k, phi, gamma, n, m, lambda);
    }
    if (slot(args, 14) != 0) {
      const fAt = <usize>slot(args, 14) + (<usize>task * <usize>iterations + <usize>step) * rowBytes;
      const gAt = <usize>slot(args, 15) + (<usize>task * <usize>iterations + <usize>step) * columnBytes;
      memory.copy(fAt, f, rowBytes);
      memory.copy(gAt, g, columnBytes);
    }
  }
  if (isSimple) {
    potentials(phi, alpha, f, n, lambda);
    potentials(gamma, beta, g, m, lambda);
  }
  store<i32>(<usize>slot(args, 7) + (<usize>task << 2), step);
  finishPlan(args, c, k, alpha, beta, task);
}

/** K becomes the plan α·K·β; its sums are taken, and what it costs. */
function finishPlan(args: usize, c: usize, k: usize, alpha: usize, beta: usize, task: i32): void {
  const n = slot(args, 16);
  const m = slot(args, 17);
  const rows = <usize>slot(args, 9) + (<usize>task * <usize>n << 2);
  const columns = <usize>slot(args, 10) + (<usize>task * <usize>m << 2);
  memory.fill(columns, 0, <usize>m << 2);
  let spent: f64 = 0;
  for (let i = 0; i < n; i++) {
    const row = k + (<usize>i * <usize>m << 2);
    const price = c + (<usize>i * <usize>m << 2);
    const scale = at(alpha, i);
    const scale4 = f32x4.splat(scale);
    let total4 = f32x4.splat(0);
    let spent4 = f32x4.splat(0);
    let j = 0;
    for (; j + 4 <= m; j += 4) {
      const p = <usize>j << 2;
      const x = f32x4.mul(f32x4.mul(v128.load(row + p), scale4), v128.load(beta + p));
      v128.store(row + p, x);
      total4 = f32x4.add(total4, x);
      spent4 = madd(x, v128.load(price + p), spent4);
      v128.store(columns + p, f32x4.add(v128.load(columns + p), x));
    }
    let total = sum4(total4);
    let rowSpent = sum4(spent4);
    for (; j < m; j++) {
      const x = at(row, j) * scale * at(beta, j);
      put(row, j, x);
      total += x;
      rowSpent += x * at(price, j);
      put(columns, j, at(columns, j) + x);
    }
    put(rows, i, total);
    spent += <f64>rowSpent;
  }
  put(<usize>slot(args, 11), task, <f32>spent);
}
