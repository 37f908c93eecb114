import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";
import { planOf, type SinkhornAttributes, type TransportInputs } from "./sinkhorn-kernel.ts";

export interface SinkhornGradInputs extends TransportInputs {
  /** The potentials after each iteration, [B, T, n] and [B, T, m]. */
  fHistory: tf.Tensor;
  gHistory: tf.Tensor;
  /** int32 [B] */
  steps: tf.Tensor;
  /** The gradients of the last potentials. */
  df: tf.Tensor;
  dg: tf.Tensor;
}

const nth = (history: tf.Tensor, index: number): tf.Tensor =>
  tf.squeeze(tf.slice(history, [0, index, 0], [-1, 1, -1]), [1]);

/** x/mass, and 0 where there is no mass. */
function perMass(x: tf.Tensor, mass: tf.Tensor): tf.Tensor {
  const live = tf.greater(mass, 0);
  return tf.where(live, tf.div(x, tf.where(live, mass, tf.onesLike(mass))), tf.zerosLike(x));
}

/** The half-step before relaxation and damping, told from the potentials around it. */
const undone = (now: tf.Tensor, before: tf.Tensor, relaxation: number, damping: number): tf.Tensor => {
  if (relaxation === 1) return tf.div(now, damping);
  const half = tf.div(tf.sub(now, tf.mul(1 - relaxation, before)), relaxation * damping);
  return tf.where(tf.isFinite(now), half, now);
};

/**
 * FdivSinkhornGrad: from the gradients of the last potentials those of the cost [B, n, m], of a, of b, and of the potentials at the
 * start, backwards through every iteration. The softmax that each half-step needs is made anew from the potentials, so the memory is
 * O(nm + T(n + m)).
 */
export const sinkhornGradKernel = defineKernel<SinkhornGradInputs, SinkhornAttributes>({
  name: "FdivSinkhornGrad",
  generic: (inputs, { lambda, iterations, rowDamping, columnDamping, relaxation }) => {
    const { cost, a, b, steps, fHistory, gHistory } = inputs;
    let state: tf.Tensor[] = [
      tf.zerosLike(cost),
      tf.zerosLike(a),
      tf.zerosLike(b),
      tf.clone(inputs.df),
      tf.clone(inputs.dg),
    ];
    // A point that no iteration has left out has a start of its own; what lies at −∞ takes no part.
    const gStart = tf.where(tf.greater(b, 0), inputs.gStart, tf.fill(b.shape, Number.NEGATIVE_INFINITY));
    for (let step = iterations - 1; step >= 0; step--) {
      const before = state;
      state = tf.tidy(() => {
        const [dcost, da, db, df, dg] = before as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
        const done = tf.cast(tf.expandDims(tf.greater(steps, step), 1), "float32");
        const rest = tf.sub(1, done);
        const [f, g] = [nth(fHistory, step), nth(gHistory, step)];
        const fBefore = step > 0 ? nth(fHistory, step - 1) : inputs.fStart;
        const gBefore = step > 0 ? nth(gHistory, step - 1) : gStart;
        const e = perMass(tf.mul(tf.mul(relaxation * columnDamping, dg), done), b);
        const columns = tf.mul(
          planOf(cost, f, undone(g, gBefore, relaxation, columnDamping), lambda),
          tf.expandDims(e, 1),
        );
        const atF = tf.sub(df, tf.sum(columns, 2));
        const h = perMass(tf.mul(tf.mul(relaxation * rowDamping, atF), done), a);
        const rows = tf.mul(
          planOf(cost, undone(f, fBefore, relaxation, rowDamping), gBefore, lambda),
          tf.expandDims(h, 2),
        );
        const kept = tf.add(rest, tf.mul(1 - relaxation, done));
        return [
          tf.addN([dcost, columns, rows]),
          tf.add(da, tf.mul(lambda, h)),
          tf.add(db, tf.mul(lambda, e)),
          tf.mul(kept, atF),
          tf.sub(tf.mul(kept, dg), tf.sum(rows, 1)),
        ];
      });
      tf.dispose(before);
    }
    return state;
  },
});

export interface SinkhornImplicitInputs {
  [name: string]: tf.Tensor;
  plan: tf.Tensor;
  /** The system's diagonal: sums of the plan, [B, n] and [B, m], times 1 + λ/ρ where a marginal is held by ρ·KL. */
  rows: tf.Tensor;
  columns: tf.Tensor;
  df: tf.Tensor;
  dg: tf.Tensor;
}

export interface SinkhornImplicitAttributes {
  /** Most steps of conjugate gradients. */
  iterations: number;
  /** Relative to the right-hand side, in the preconditioned norm. */
  tolerance: number;
  /** Whether the system is blind to a constant, as it is when both marginals hold. */
  centred: boolean;
}

/**
 * FdivSinkhornImplicit: x [B, n] and y [B, m] with diag(rows)·x + P·y = df and Pᵀ·x + diag(columns)·y = dg, by conjugate gradients on
 * y; the adjoint of Sinkhorn's fixed point.
 */
export const sinkhornImplicitKernel = defineKernel<SinkhornImplicitInputs, SinkhornImplicitAttributes>({
  name: "FdivSinkhornImplicit",
  generic: ({ plan, rows, columns, df, dg }, { iterations, tolerance, centred }) => {
    const times = (v: tf.Tensor): tf.Tensor => tf.sum(tf.mul(plan, tf.expandDims(v, 1)), 2);
    const transposed = (v: tf.Tensor): tf.Tensor => tf.sum(tf.mul(plan, tf.expandDims(v, 2)), 1);
    const inner = (x: tf.Tensor, y: tf.Tensor): tf.Tensor => tf.sum(tf.mul(x, y), 1, true);
    const live = tf.cast(tf.greater(columns, 0), "float32");
    const precondition = (residual: tf.Tensor): tf.Tensor => {
      const z = perMass(residual, columns);
      if (!centred) return z;
      return tf.mul(tf.sub(z, tf.div(inner(columns, z), tf.maximum(inner(columns, live), 1e-30))), live);
    };
    let y: tf.Tensor = tf.zerosLike(dg);
    let residual: tf.Tensor = tf.mul(live, tf.sub(dg, transposed(perMass(df, rows))));
    let direction = precondition(residual);
    let rz = inner(residual, direction);
    const enough = tf.mul(rz, tolerance * tolerance);
    for (let step = 0; step < iterations; step++) {
      const before = [y, residual, direction, rz];
      [y, residual, direction, rz] = tf.tidy(() => {
        const image = tf.sub(tf.mul(columns, direction), transposed(perMass(times(direction), rows)));
        const curvature = inner(direction, image);
        const goes = tf.logicalAnd(tf.greater(rz, enough), tf.greater(curvature, 0));
        const length = tf.where(
          goes,
          tf.div(rz, tf.where(goes, curvature, tf.onesLike(curvature))),
          tf.zerosLike(rz),
        );
        const left = tf.sub(residual, tf.mul(length, image));
        const z = precondition(left);
        const next = tf.where(goes, inner(left, z), rz);
        const ratio = tf.where(goes, tf.div(next, tf.maximum(rz, 1e-38)), tf.zerosLike(rz));
        return [
          tf.add(y, tf.mul(length, direction)),
          left,
          tf.where(tf.tile(goes, [1, z.shape[1]!]), tf.add(z, tf.mul(ratio, direction)), direction),
          next,
        ];
      }) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      tf.dispose(before);
      const isDone = tf.tidy(() => tf.all(tf.lessEqual(rz, enough)));
      if (step % 10 === 9 && isDone.dataSync()[0]) break;
    }
    return [perMass(tf.sub(df, times(y)), rows), y];
  },
});
