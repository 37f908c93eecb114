import * as tf from "@tensorflow/tfjs-core";
import { checkSolution } from "./check-solution.ts";
import { isWithin, type MarginalFit, marginalFit, nothingToMeet } from "./marginal-fit.ts";
import { solve } from "./potentials.ts";
import { planSinkhorn, type SinkhornOptions, type SinkhornPlanning } from "./sinkhorn-options.ts";
import type { Solution } from "./solution.ts";
import { type TransportProblem, transportProblem } from "./transport-problem.ts";
import { diagnose, transportPlan, transportValue } from "./transport-value.ts";

/** What a solved problem is; for a batch everything has one more axis, the problems, in front. */
export interface SinkhornResult {
  /** The objective in the cost's unit; differentiable in the cost and in given marginals. */
  value: tf.Tensor;
  /** P [n, m]; a constant, `sinkhornPlan` gives it a gradient. */
  plan: tf.Tensor;
  /** P = exp((f ⊕ g − D)/λ); −∞ for points without mass. */
  potentials: { f: tf.Tensor; g: tf.Tensor };
  /** Iterations at the wanted λ, int32. */
  iterations: tf.Tensor;
  /** Σ|P1 − a| and Σ|Pᵀ1 − b|; of relaxed marginals, the distance to a·exp(−f/ρ) and b·exp(−g/ρ). */
  rowError: tf.Tensor;
  columnError: tf.Tensor;
  /** |primal − dual| of the regularised problem at the plan and the potentials; 0 at the optimum. */
  dualityGap: tf.Tensor;
  /**
   * Whether both errors are within the tolerance (10⁻⁴ of the mass when iterations are fixed) and what rounding adds to it,
   * (10⁻⁶ + 2⁻²⁴·(max|f| + max|g|)/λ) of the mass, bool. A smaller tolerance than that can't be reached for certain.
   */
  converged: tf.Tensor;
}

/** Problems without a row, a column or mass move nothing; they are finite without asking the kernels. */
const isEmpty = ({ cost }: TransportProblem): boolean => cost.size === 0;

/** What the caller gave, with costs of 0 at what `ragged` takes out, so that whatever stands there changes nothing. */
function problemOf(cost: tf.Tensor, options: SinkhornOptions, planning: SinkhornPlanning): TransportProblem {
  const problem = transportProblem(cost, options, isBalanced(planning));
  if (!options.ragged || isEmpty(problem)) return problem;
  const { a, b } = problem;
  const isThere = tf.logicalAnd(tf.greater(tf.expandDims(a, 2), 0), tf.greater(tf.expandDims(b, 1), 0));
  return { ...problem, cost: tf.where(isThere, problem.cost, tf.zerosLike(problem.cost)) };
}

/** Zeros, of which a gradient may be asked; sums of nothing are not zero on every backend. */
function noValue({ cost }: TransportProblem): tf.Tensor1D {
  const problems = cost.shape[0];
  return tf.sum(tf.concat([tf.reshape(cost, [problems, 0]), tf.zeros([problems, 1])], 1), 1) as tf.Tensor1D;
}

function emptySolution({ cost, a, b }: TransportProblem): Solution {
  const nothing = (x: tf.Tensor2D): tf.Tensor2D => tf.fill(x.shape, Number.NEGATIVE_INFINITY);
  return {
    f: nothing(a),
    g: nothing(b),
    steps: tf.zeros([cost.shape[0]], "int32"),
    plan: tf.zerosLike(cost),
    rows: tf.zerosLike(a),
    columns: tf.zerosLike(b),
    transported: tf.zeros([cost.shape[0]]),
  };
}

/**
 * Entropic optimal transport: the plan P ≥ 0 with P1 = a and Pᵀ1 = b that minimises ⟨P, D⟩ − λH(P), by Sinkhorn's iterations
 * (arXiv 1306.0895), in the log domain: f ← λ log a − λ·LSE((g − D)/λ), g likewise; the last half-step is the columns'.
 *
 * Every problem of a batch is solved as if it were alone. The value is differentiable as `objective` and `gradient` say.
 *
 * @param cost D, [n, m] or [problems, n, m], finite
 * @throws RangeError on options and shapes; SinkhornError on a cost that is not finite or a plan that float32 can't hold
 */
export function sinkhorn(cost: tf.Tensor, options: SinkhornOptions): SinkhornResult {
  const planning = planSinkhorn(options);
  const result = tf.tidy(() => {
    const problem = problemOf(cost, options, planning);
    const solution = isEmpty(problem) ? emptySolution(problem) : solve(problem, planning);
    const value = isEmpty(problem) ? noValue(problem) : transportValue(problem, planning, solution);
    checkSolution(problem, value, planning, solution);
    const diagnosis = diagnose(problem, solution, planning);
    const converged = isEmpty(problem)
      ? tf.onesLike(tf.cast(value, "bool"))
      : isWithin(diagnosis, problem, solution, planning);
    const { plan, f, g, steps } = solution;
    const all = { value, plan, f, g, iterations: steps, ...diagnosis, converged };
    if (cost.rank === 3) return all;
    return Object.fromEntries(
      Object.entries(all).map(([name, x]) => [name, tf.squeeze(x, [0])]),
    ) as typeof all;
  });
  const { f, g, ...rest } = result;
  return { ...rest, potentials: { f, g } };
}

const isBalanced = ({ rho }: SinkhornPlanning): boolean =>
  !Number.isFinite(rho.rows) && !Number.isFinite(rho.columns);

/** The objective alone, [problems], of problems that are made already, and how well their plans met the marginals; for losses. */
export function solvedValue(
  problem: TransportProblem,
  planning: SinkhornPlanning,
): MarginalFit & { value: tf.Tensor1D } {
  if (isEmpty(problem)) return { value: noValue(problem), ...nothingToMeet(problem.cost.shape[0]) };
  const solution = solve(problem, planning);
  const value = transportValue(problem, planning, solution);
  checkSolution(problem, value, planning, solution, true);
  return { value, ...marginalFit(problem, solution, planning) };
}

/**
 * The plan itself with a gradient, `unrolled` or `implicit`, for losses that are functions of it.
 *
 * @param cost D, [n, m] or [problems, n, m]
 * @returns P in the cost's shape
 * @throws as `sinkhorn`
 */
export function sinkhornPlan(cost: tf.Tensor, options: SinkhornOptions): tf.Tensor {
  const planning = planSinkhorn(options);
  return tf.tidy(() => {
    const problem = problemOf(cost, options, planning);
    if (isEmpty(problem)) return tf.reshape(tf.zerosLike(problem.cost), cost.shape);
    const solution = solve(problem, planning);
    const plan = transportPlan(problem, planning, solution);
    checkSolution(problem, solution.transported, planning, solution, true);
    return tf.reshape(plan, cost.shape);
  });
}
