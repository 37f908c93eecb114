import { lazyGradient } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { finite, marginalErrors, wantedSums } from "./marginal-fit.ts";
import type { SinkhornPlanning } from "./sinkhorn-options.ts";
import type { Solution } from "./solution.ts";
import { fixedPointGradient, type ProblemGradient, unrolledGradient } from "./transport-gradient.ts";
import type { TransportProblem } from "./transport-problem.ts";

export const columnOf = (x: tf.Tensor): tf.Tensor => tf.expandDims(x, 2);
export const rowOf = (x: tf.Tensor): tf.Tensor => tf.expandDims(x, 1);

/** log(sums/mass), 0 where there is no mass. */
function logShare(sums: tf.Tensor, mass: tf.Tensor): tf.Tensor {
  const live = tf.logicalAnd(tf.greater(mass, 0), tf.greater(sums, 0));
  const [x, y] = [sums, mass].map((side) => tf.where(live, side, tf.onesLike(side)));
  return tf.log(tf.div(x!, y!));
}

/** ρ·KL(sums‖mass), generalised to any masses: Σ s·log(s/m) − s + m. */
const penalty = (sums: tf.Tensor, mass: tf.Tensor, rho: number): tf.Tensor =>
  tf.mul(rho, tf.sum(tf.add(tf.sub(tf.mul(sums, logShare(sums, mass)), sums), mass), 1));

/** The objective of each problem, [problems]. */
function objectiveOf({ a, b }: TransportProblem, solution: Solution, planning: SinkhornPlanning): tf.Tensor {
  const { f, g, rows, columns, transported } = solution;
  if (planning.objective === "sharp") return tf.clone(transported);
  // ⟨P, D⟩ + λΣP(log P − 1), with log P from the potentials.
  const terms = [
    tf.sum(tf.mul(rows, finite(f)), 1),
    tf.sum(tf.mul(columns, finite(g)), 1),
    tf.mul(-planning.lambda, tf.sum(rows, 1)),
  ];
  if (Number.isFinite(planning.rho.rows)) terms.push(penalty(rows, a, planning.rho.rows));
  if (Number.isFinite(planning.rho.columns)) terms.push(penalty(columns, b, planning.rho.columns));
  return tf.addN(terms);
}

/** ∂objective/∂P of the regularised objective, as potentials of rows and of columns. */
function regularisedSlope(
  { a, b }: TransportProblem,
  { f, g, rows, columns }: Solution,
  { rho }: SinkhornPlanning,
) {
  const side = (potential: tf.Tensor, sums: tf.Tensor, mass: tf.Tensor, weight: number): tf.Tensor =>
    Number.isFinite(weight)
      ? tf.add(finite(potential), tf.mul(weight, logShare(sums, mass)))
      : finite(potential);
  return [side(f, rows, a, rho.rows), side(g, columns, b, rho.columns)] as const;
}

/** What the objective owes to the masses directly, with the plan held. */
function directMassGradient(
  { a, b }: TransportProblem,
  { f, g, rows, columns }: Solution,
  { rho, gradient, objective }: SinkhornPlanning,
): [tf.Tensor, tf.Tensor] {
  const side = (potential: tf.Tensor, sums: tf.Tensor, mass: tf.Tensor, weight: number): tf.Tensor => {
    if (objective === "sharp") return tf.zerosLike(mass);
    if (!Number.isFinite(weight)) return gradient === "envelope" ? finite(potential) : tf.zerosLike(mass);
    const live = tf.greater(mass, 0);
    const share = tf.div(sums, tf.where(live, mass, tf.onesLike(mass)));
    return tf.where(live, tf.mul(weight, tf.sub(1, share)), tf.zerosLike(mass));
  };
  return [side(f, rows, a, rho.rows), side(g, columns, b, rho.columns)];
}

/** The gradients that reach the problem through the plan, given (∂L/∂P)/λ. */
function throughPlan(
  problem: TransportProblem,
  solution: Solution,
  planning: SinkhornPlanning,
  dplan: tf.Tensor,
): ProblemGradient {
  const weighted = tf.mul(solution.plan, dplan);
  const [df, dg] = [tf.sum(weighted, 2), tf.sum(weighted, 1)];
  const { dcost, da, db } =
    planning.gradient === "implicit"
      ? fixedPointGradient(problem, solution, planning, df, dg)
      : unrolledGradient(problem, planning, df, dg);
  return { dcost: tf.sub(dcost, weighted), da, db };
}

function objectiveGradient(
  problem: TransportProblem,
  solution: Solution,
  planning: SinkhornPlanning,
  dy: tf.Tensor,
): ProblemGradient {
  const [scale, wide] = [tf.expandDims(dy, 1), tf.reshape(dy, [-1, 1, 1])];
  const direct = tf.mul(solution.plan, wide);
  const [directA, directB] = directMassGradient(problem, solution, planning);
  const [da, db] = [tf.mul(scale, directA), tf.mul(scale, directB)];
  if (planning.gradient === "envelope") return { dcost: direct, da, db };
  const [rows, columns] = regularisedSlope(problem, solution, planning);
  const slope = planning.objective === "sharp" ? problem.cost : tf.add(columnOf(rows), rowOf(columns));
  const through = throughPlan(problem, solution, planning, tf.mul(slope, tf.div(wide, planning.lambda)));
  return {
    dcost: tf.add(direct, through.dcost),
    da: tf.add(da, through.da),
    db: tf.add(db, through.db),
  };
}

const names = ["f", "g", "steps", "plan", "rows", "columns", "transported"] as const;

function differentiable(
  problem: TransportProblem,
  solution: Solution,
  value: () => tf.Tensor,
  gradient: (problem: TransportProblem, solution: Solution, dy: tf.Tensor) => ProblemGradient,
): tf.Tensor {
  return lazyGradient(
    { ...problem } as Record<"cost" | "a" | "b", tf.Tensor>,
    (save) => {
      const output = value();
      save([problem.cost, problem.a, problem.b, ...names.map((name) => solution[name])]);
      return output;
    },
    (dy, [cost, a, b, ...rest]) => {
      const solved = Object.fromEntries(names.map((name, i) => [name, rest[i]])) as unknown as Solution;
      const saved = { cost, a, b } as TransportProblem;
      const { dcost, da, db } = tf.tidy(() => ({ ...gradient(saved, solved, dy) }));
      return { cost: () => tf.clone(dcost), a: () => tf.clone(da), b: () => tf.clone(db) };
    },
  );
}

/** The objective [problems] of a solution, differentiable in the cost and the masses. */
export function transportValue(
  problem: TransportProblem,
  planning: SinkhornPlanning,
  solution: Solution,
): tf.Tensor1D {
  return differentiable(
    problem,
    solution,
    () => objectiveOf(problem, solution, planning),
    (saved, solved, dy) => objectiveGradient(saved, solved, planning, dy),
  ) as tf.Tensor1D;
}

/** The plan [problems, n, m] of a solution, differentiable in the cost and the masses. */
export function transportPlan(
  problem: TransportProblem,
  planning: SinkhornPlanning,
  solution: Solution,
): tf.Tensor3D {
  if (planning.gradient === "envelope")
    throw new RangeError('sinkhorn: a plan has no envelope; its gradient is "unrolled" or "implicit".');
  return differentiable(
    problem,
    solution,
    () => tf.clone(solution.plan),
    (saved, solved, dy) => throughPlan(saved, solved, planning, tf.div(dy, planning.lambda)),
  ) as tf.Tensor3D;
}

/** [problems] each: how far the plan's sums are from what they should be, and the duality gap. */
export function diagnose(problem: TransportProblem, solution: Solution, planning: SinkhornPlanning) {
  const { f, g, rows, columns } = solution;
  const side = (potential: tf.Tensor, sums: tf.Tensor, mass: tf.Tensor, rho: number) => {
    const shown = finite(potential);
    const gap = Number.isFinite(rho)
      ? tf.add(
          tf.add(tf.mul(sums, shown), tf.mul(rho, tf.mul(sums, logShare(sums, mass)))),
          tf.mul(rho, tf.sub(wantedSums(potential, mass, rho), sums)),
        )
      : tf.mul(shown, tf.sub(sums, mass));
    return tf.sum(gap, 1);
  };
  const gaps = tf.add(
    side(f, rows, problem.a, planning.rho.rows),
    side(g, columns, problem.b, planning.rho.columns),
  );
  return { ...marginalErrors(problem, solution, planning), dualityGap: tf.abs(gaps) };
}
