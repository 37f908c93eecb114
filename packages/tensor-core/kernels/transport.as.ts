import { slot } from "./gemm.as";
import { madd } from "./multiply-add.as";
import { axpy, dot, exp1, exp4, log1, sum4 } from "./vector-math.as";

// Entropic optimal transport, one problem a task. The plan is kept as P = α·K·β with K = exp((φ ⊕ γ − C)/λ): the shifts φ and γ take up the
// potentials whenever the scalings α and β leave the numbers that float32 multiplies well, and what no K can hold is done in logarithms. So the
// iterates are those of the log domain, at the price of a multiplication.

/** Exponents below this are zeros of K. */
const least: f32 = -60;
/** How far a scaling may go from its marginal before the shifts take it up. */
const reach: f32 = 1e7;
/** The same as an exponent. */
const reachExponent: f32 = 16;
/** What share of the weights a sum must keep to be believed, given what K has lost. */
const trust: f32 = 1e-17;

// @ts-ignore: decorator
@inline
const infinity: f32 = f32.MAX_VALUE * 2;

// @ts-ignore: decorator
@inline
function float(args: usize, i: i32): f32 {
  return load<f32>(args + (<usize>i << 2));
}

// @ts-ignore: decorator
@inline
function at(x: usize, i: i32): f32 {
  return load<f32>(x + (<usize>i << 2));
}

// @ts-ignore: decorator
@inline
function put(x: usize, i: i32, value: f32): void {
  store<f32>(x + (<usize>i << 2), value);
}

function sum(x: usize, n: i32): f32 {
  let total: f64 = 0;
  for (let i = 0; i < n; i++) total += <f64>at(x, i);
  return <f32>total;
}

/** K = exp((φ ⊕ γ − C)/λ); a shift of −∞ makes zeros. */
function buildKernel(c: usize, k: usize, phi: usize, gamma: usize, n: i32, m: i32, lambda: f32): void {
  const inverse = f32x4.splat(1 / lambda);
  const bound = f32x4.splat(least);
  for (let i = 0; i < n; i++) {
    const shift = at(phi, i);
    const row = <usize>i * <usize>m << 2;
    if (shift == -infinity) {
      memory.fill(k + row, 0, <usize>m << 2);
      continue;
    }
    const shift4 = f32x4.splat(shift);
    let j = 0;
    for (; j + 4 <= m; j += 4) {
      const p = <usize>j << 2;
      const x = f32x4.mul(f32x4.sub(f32x4.add(shift4, v128.load(gamma + p)), v128.load(c + row + p)), inverse);
      v128.store(k + row + p, v128.andnot(exp4(x), f32x4.lt(x, bound)));
    }
    for (; j < m; j++) {
      const p = <usize>j << 2;
      const x = (shift + load<f32>(gamma + p) - load<f32>(c + row + p)) / lambda;
      store<f32>(k + row + p, x < least ? 0 : exp1(x));
    }
  }
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
// 11 scratch, 12 its bytes a worker, 13 history of f [B, T, n] or 0, 14 of g [B, T, m], 15 n, 16 m, 17 iterations T, 18 check every,
// 19 λ, 20 tolerance, 21 and 22 damping of rows and of columns, 23 relaxation ω

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
  const n = slot(args, 15);
  const m = slot(args, 16);
  const lambda = float(args, 19);
  const inverse = f32x4.splat(1 / lambda);
  const omega = float(args, 23);
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
    const now = relaxed(at(f, i), half, omega, float(args, 21));
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
    put(g, j, relaxed(at(g, j), half, omega, float(args, 22)));
  }
}

/** Takes the potentials up into the shifts: scalings become marginals and K the plan's density. */
function absorb(potential: usize, marginal: usize, shift: usize, scaling: usize, n: i32, lambda: f32): void {
  for (let i = 0; i < n; i++) {
    const mass = at(marginal, i);
    put(scaling, i, mass);
    put(shift, i, mass == 0 ? -infinity : at(potential, i) - lambda * log1(mass));
  }
}

/** potential = shift + λ·log scaling, −∞ where there is no mass. */
function potentials(shift: usize, scaling: usize, potential: usize, n: i32, lambda: f32): void {
  for (let i = 0; i < n; i++)
    put(potential, i, at(scaling, i) == 0 ? -infinity : at(shift, i) + lambda * log1(at(scaling, i)));
}

/** How far one more half-step would move the plan, Σ|rows·(exp((f* − f)/λ) − 1)|: for given marginals the rows' error. */
function movement(args: usize, k: usize, a: usize, f: usize, phi: usize, alpha: usize, beta: usize): f32 {
  const n = slot(args, 15);
  const m = slot(args, 16);
  const lambda = float(args, 19);
  const damping = float(args, 21);
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
  const n = slot(args, 15);
  const m = slot(args, 16);
  const lambda = float(args, 19);
  const rowDamping = float(args, 21);
  const columnDamping = float(args, 22);
  const omega = float(args, 23);
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
  const n = slot(args, 15);
  const m = slot(args, 16);
  const iterations = slot(args, 17);
  const every = slot(args, 18);
  const lambda = float(args, 19);
  const tolerance = float(args, 20);
  const isSimple = float(args, 21) == 1 && float(args, 22) == 1 && float(args, 23) == 1;
  const rowBytes = <usize>n << 2;
  const columnBytes = <usize>m << 2;
  const size = <usize>n * columnBytes;
  const c = <usize>slot(args, 0) + <usize>task * size;
  const a = <usize>slot(args, 1) + <usize>task * rowBytes;
  const b = <usize>slot(args, 2) + <usize>task * columnBytes;
  const f = <usize>slot(args, 5) + <usize>task * rowBytes;
  const g = <usize>slot(args, 6) + <usize>task * columnBytes;
  const k = <usize>slot(args, 8) + <usize>task * size;
  const phi = <usize>slot(args, 11) + <usize>worker * <usize>slot(args, 12);
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
    } else if (isSimple && (outcome == 2 || slot(args, 13) != 0)) {
      potentials(phi, alpha, f, n, lambda);
      potentials(gamma, beta, g, m, lambda);
    }
    if (outcome != 1) {
      absorb(f, a, phi, alpha, n, lambda);
      absorb(g, b, gamma, beta, m, lambda);
      buildKernel(c, k, phi, gamma, n, m, lambda);
    }
    if (slot(args, 13) != 0) {
      const fAt = <usize>slot(args, 13) + (<usize>task * <usize>iterations + <usize>step) * rowBytes;
      const gAt = <usize>slot(args, 14) + (<usize>task * <usize>iterations + <usize>step) * columnBytes;
      memory.copy(fAt, f, rowBytes);
      memory.copy(gAt, g, columnBytes);
    }
  }
  if (isSimple) {
    potentials(phi, alpha, f, n, lambda);
    potentials(gamma, beta, g, m, lambda);
  }
  store<i32>(<usize>slot(args, 7) + (<usize>task << 2), step);
  finishPlan(args, k, alpha, beta, task);
}

/** K becomes the plan α·K·β, and its sums are taken. */
function finishPlan(args: usize, k: usize, alpha: usize, beta: usize, task: i32): void {
  const n = slot(args, 15);
  const m = slot(args, 16);
  const rows = <usize>slot(args, 9) + (<usize>task * <usize>n << 2);
  const columns = <usize>slot(args, 10) + (<usize>task * <usize>m << 2);
  memory.fill(columns, 0, <usize>m << 2);
  for (let i = 0; i < n; i++) {
    const row = k + (<usize>i * <usize>m << 2);
    const scale = at(alpha, i);
    const scale4 = f32x4.splat(scale);
    let total4 = f32x4.splat(0);
    let j = 0;
    for (; j + 4 <= m; j += 4) {
      const p = <usize>j << 2;
      const x = f32x4.mul(f32x4.mul(v128.load(row + p), scale4), v128.load(beta + p));
      v128.store(row + p, x);
      total4 = f32x4.add(total4, x);
      v128.store(columns + p, f32x4.add(v128.load(columns + p), x));
    }
    let total = sum4(total4);
    for (; j < m; j++) {
      const x = at(row, j) * scale * at(beta, j);
      put(row, j, x);
      total += x;
      put(columns, j, at(columns, j) + x);
    }
    put(rows, i, total);
  }
}

// The arguments of `sinkhornGrad`:
// 0 cost, 1 a, 2 b, 3 f at the start, 4 g at the start, 5 history of f [B, T, n], 6 of g, 7 steps, 8 df [B, n], 9 dg [B, m], 10 dcost,
// 11 da, 12 db, 13 dg at the start, 14 scratch, 15 its bytes a worker, 16 n, 17 m, 18 T, 19 λ, 20 and 21 damping, 22 ω, 23 df at the start

/** Whether potentials lie within reach of the shifts. */
function isWithin(potential: usize, marginal: usize, shift: usize, n: i32, lambda: f32): bool {
  for (let i = 0; i < n; i++) {
    const mass = at(marginal, i);
    if (mass == 0) continue;
    const x = (at(potential, i) - at(shift, i)) / lambda - log1(mass);
    if (!(x > -reachExponent && x < reachExponent)) return false;
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

// The arguments of `sinkhornImplicit`:
// 0 plan, 1 diagonal of the rows [B, n], 2 of the columns [B, m], 3 df, 4 dg, 5 x, 6 y, 7 scratch, 8 its bytes a worker, 9 n, 10 m,
// 11 most iterations, 12 tolerance, 13 whether constants are to be left out

/** out = diag(c)·v − Pᵀ·diag(1/r)·P·v, one pass over P */
function schur(plan: usize, rows: usize, columns: usize, v: usize, out: usize, n: i32, m: i32): void {
  for (let j = 0; j < m; j++) put(out, j, at(columns, j) * at(v, j));
  for (let i = 0; i < n; i++) {
    const row = plan + (<usize>i * <usize>m << 2);
    if (at(rows, i) > 0) axpy(-dot(row, v, m) / at(rows, i), row, out, m);
  }
}

/** z = residual/diagonal, less its mean when constants are to be left out */
function precondition(residual: usize, columns: usize, z: usize, m: i32, centred: bool): void {
  let mean: f64 = 0;
  let total: f64 = 0;
  for (let j = 0; j < m; j++) {
    const c = at(columns, j);
    put(z, j, c > 0 ? at(residual, j) / c : 0);
    mean += <f64>c * <f64>at(z, j);
    total += <f64>c;
  }
  if (!centred || total == 0) return;
  mean /= total;
  for (let j = 0; j < m; j++) if (at(columns, j) > 0) put(z, j, at(z, j) - <f32>mean);
}

function inner(x: usize, y: usize, m: i32): f64 {
  let total: f64 = 0;
  for (let j = 0; j < m; j++) total += <f64>at(x, j) * <f64>at(y, j);
  return total;
}

/** [diag r, P; Pᵀ, diag c]·[x; y] = [df; dg] by conjugate gradients on y. */
export function sinkhornImplicit(args: usize, task: i32, worker: i32): void {
  const n = slot(args, 9);
  const m = slot(args, 10);
  const centred = slot(args, 13) != 0;
  const plan = <usize>slot(args, 0) + (<usize>task * <usize>n * <usize>m << 2);
  const rows = <usize>slot(args, 1) + (<usize>task * <usize>n << 2);
  const columns = <usize>slot(args, 2) + (<usize>task * <usize>m << 2);
  const df = <usize>slot(args, 3) + (<usize>task * <usize>n << 2);
  const dg = <usize>slot(args, 4) + (<usize>task * <usize>m << 2);
  const x = <usize>slot(args, 5) + (<usize>task * <usize>n << 2);
  const y = <usize>slot(args, 6) + (<usize>task * <usize>m << 2);
  const residual = <usize>slot(args, 7) + <usize>worker * <usize>slot(args, 8);
  const z = residual + (<usize>m << 2);
  const direction = z + (<usize>m << 2);
  const image = direction + (<usize>m << 2);
  memory.fill(y, 0, <usize>m << 2);
  for (let j = 0; j < m; j++) put(residual, j, at(columns, j) > 0 ? at(dg, j) : 0);
  for (let i = 0; i < n; i++)
    if (at(rows, i) > 0) axpy(-at(df, i) / at(rows, i), plan + (<usize>i * <usize>m << 2), residual, m);
  precondition(residual, columns, z, m, centred);
  memory.copy(direction, z, <usize>m << 2);
  let rz = inner(residual, z, m);
  const enough = <f64>float(args, 12) * <f64>float(args, 12) * rz;
  for (let step = 0; step < slot(args, 11) && rz > enough; step++) {
    schur(plan, rows, columns, direction, image, n, m);
    const curvature = inner(direction, image, m);
    if (!(curvature > 0)) break;
    const length = <f32>(rz / curvature);
    axpy(length, direction, y, m);
    axpy(-length, image, residual, m);
    precondition(residual, columns, z, m, centred);
    const next = inner(residual, z, m);
    const ratio = <f32>(next / rz);
    rz = next;
    for (let j = 0; j < m; j++) put(direction, j, at(z, j) + ratio * at(direction, j));
  }
  for (let i = 0; i < n; i++) {
    const r = at(rows, i);
    put(x, i, r > 0 ? (at(df, i) - dot(plan + (<usize>i * <usize>m << 2), y, m)) / r : 0);
  }
}
