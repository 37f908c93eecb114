import { sinkhornGradKernel, sinkhornImplicitKernel, sinkhornKernel } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { stagesOf, startOf } from "./potentials.ts";
import type { SinkhornPlanning } from "./sinkhorn-options.ts";
import type { Solution } from "./solution.ts";
import type { TransportProblem } from "./transport-problem.ts";

export interface ProblemGradient {
  dcost: tf.Tensor;
  da: tf.Tensor;
  db: tf.Tensor;
}

/** Steps of conjugate gradients on the adjoint system, and how far its residual has to fall. */
const adjoint = { iterations: 500, tolerance: 1e-7 };

/**
 * Implicit differentiation: with r, c the plan's sums the adjoint [x; y] solves [diag r, P; Pᵀ, diag c][x; y] = [df; dg], and
 * dD = P∘(x ⊕ y), da = λx, db = λy. A marginal held by ρ·KL adds the factor 1 + λ/ρ to its diagonal.
 */
export function fixedPointGradient(
  { a, b }: TransportProblem,
  { plan, rows, columns }: Solution,
  { lambda, rho }: SinkhornPlanning,
  df: tf.Tensor,
  dg: tf.Tensor,
): ProblemGradient {
  const centred = !Number.isFinite(rho.rows) && !Number.isFinite(rho.columns);
  const [x, y] = sinkhornImplicitKernel(
    {
      plan,
      rows: tf.mul(rows, 1 + lambda / rho.rows),
      columns: tf.mul(columns, 1 + lambda / rho.columns),
      df,
      dg,
    },
    { ...adjoint, centred },
  ) as [tf.Tensor, tf.Tensor];
  const ofMass = (solution: tf.Tensor, sums: tf.Tensor, mass: tf.Tensor): tf.Tensor => {
    const live = tf.greater(mass, 0);
    const share = tf.div(sums, tf.where(live, mass, tf.onesLike(mass)));
    return tf.where(live, tf.mul(lambda, tf.mul(solution, share)), tf.zerosLike(mass));
  };
  return {
    dcost: tf.mul(plan, tf.add(tf.expandDims(x, 2), tf.expandDims(y, 1))),
    da: ofMass(x, rows, a),
    db: ofMass(y, columns, b),
  };
}

/**
 * Through the iterations that were done, stage by stage from the last. They are done once more to have the potentials after each,
 * T·(n + m) numbers a problem, so nothing of size n·m is kept per iteration.
 */
export function unrolledGradient(
  problem: TransportProblem,
  planning: SinkhornPlanning,
  df: tf.Tensor,
  dg: tf.Tensor,
): ProblemGradient {
  const stages = stagesOf(planning);
  let start = startOf(problem);
  const done = stages.map((attributes) => {
    const inputs = { ...problem, ...start };
    const kept = { ...attributes, keepHistory: true };
    const [f, g, steps, , , , , fHistory, gHistory] = sinkhornKernel(inputs, kept);
    start = { fStart: f!, gStart: g! };
    return {
      inputs: { ...inputs, steps: steps!, fHistory: fHistory!, gHistory: gHistory! },
      attributes: kept,
    };
  });
  let gradient: ProblemGradient | undefined;
  let [atF, atG] = [df, dg];
  for (const { inputs, attributes } of done.reverse()) {
    const [dcost, da, db, dfStart, dgStart] = sinkhornGradKernel(
      { ...inputs, df: atF, dg: atG },
      attributes,
    ) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
    gradient = gradient
      ? { dcost: tf.add(gradient.dcost, dcost), da: tf.add(gradient.da, da), db: tf.add(gradient.db, db) }
      : { dcost, da, db };
    [atF, atG] = [dfStart, dgStart];
  }
  return gradient!;
}
