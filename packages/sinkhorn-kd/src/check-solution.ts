import type * as tf from "@tensorflow/tfjs-core";
import { SinkhornError } from "./errors.ts";
import type { SinkhornPlanning } from "./sinkhorn-options.ts";
import type { Solution } from "./solution.ts";
import { canLook, type TransportProblem } from "./transport-problem.ts";

/**
 * How much of λ rounding may be: an eighth leaves a plan's parts right to about a tenth. Gradients through the plan are differences of
 * terms as large as D/λ, which such a plan has no digit left of (at λ = 10⁻⁵ and costs of 1 they come out wrong by their own size).
 */
const margins = { plan: 8, gradient: 1024 };

/**
 * @param forGradient whether a gradient through the plan is what the solution is for
 * @throws SinkhornError naming the problem and what is wrong with it
 */
export function checkSolution(
  problem: TransportProblem,
  value: tf.Tensor,
  { lambda, gradient }: SinkhornPlanning,
  solution: Solution,
  forGradient = false,
): void {
  if (!canLook()) return;
  checkResolution(solution, lambda, margins[forGradient && gradient !== "envelope" ? "gradient" : "plan"]);
  const wrong = value.dataSync<"float32">().findIndex((x) => !Number.isFinite(x));
  if (wrong < 0) return;
  const [, n, m] = problem.cost.shape;
  const cost: Float32Array = problem.cost.dataSync<"float32">().slice(wrong * n * m, (wrong + 1) * n * m);
  const at = cost.findIndex((x: number) => !Number.isFinite(x));
  throw new SinkhornError(
    at < 0
      ? `sinkhorn: problem ${wrong} has no plan in single precision at lambda ${lambda}; scale its costs or take a larger lambda.`
      : `sinkhorn: the cost of problem ${wrong} holds ${cost[at]} at [${Math.floor(at / m)}, ${at % m}], expected finite numbers.`,
  );
}

/** @throws SinkhornError where rounding of the potentials, of the costs' size, times the margin is more than λ */
function checkResolution({ f, g }: Solution, lambda: number, margin: number): void {
  let largest = 0;
  for (const potential of [f, g])
    for (const x of potential.dataSync<"float32">())
      if (Number.isFinite(x)) largest = Math.max(largest, Math.abs(x));
  const rounding = largest * 2 ** -24;
  if (!(margin * rounding > lambda)) return;
  throw new SinkhornError(
    `sinkhorn: costs of about ${largest.toPrecision(3)} are known to ${rounding.toPrecision(2)} in single precision, too little for lambda ` +
      `${lambda}: take lambda of at least ${(margin * rounding).toPrecision(2)}, or subtract what the costs have in common.`,
  );
}
