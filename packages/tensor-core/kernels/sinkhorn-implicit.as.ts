import { slot } from "./gemm.as";
import { at, float, put } from "./gibbs-kernel.as";
import { axpy, dot } from "./vector-math.as";

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
