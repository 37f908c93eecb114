import { plots } from "./charts.ts";
import { lossVariants } from "./distilled-runs.ts";
import { heatMap } from "./heat-map.ts";
import { number, remark } from "./html.ts";
import type { RunData } from "./run-data.ts";

const mostPlans = 6;

const sum = (matrix: readonly (readonly number[])[]): number =>
  matrix.reduce((total, row) => total + row.reduce((part, value) => part + value, 0), 0);

/** The share of a plan's mass that stays at its own point. */
function diagonalShare(plan: readonly (readonly number[])[]): number {
  return plan.reduce((total, row, i) => total + (row[i] ?? 0), 0) / sum(plan);
}

/** ⟨P, C⟩ over the mass of P. */
const meanCost = (plan: readonly (readonly number[])[], cost: readonly (readonly number[])[]): number =>
  sum(plan.map((row, i) => row.map((mass, j) => mass * (cost[i]?.[j] ?? Number.NaN)))) / sum(plan);

/** Plans between student and teacher, and the costs under them, of one run a loss. */
export function plans(runs: readonly RunData[]): string {
  const having = lossVariants(runs).flatMap(({ name, runs: [first] }) => {
    const plan = first?.evaluation.distillation?.plan;
    return plan ? [{ name, ...plan }] : [];
  });
  const drawn = having.slice(0, mostPlans).map(({ name, lambda, plan, cost }) => {
    const share = number(100 * diagonalShare(plan), 2);
    const chance = number(100 / plan.length, 2);
    return [
      heatMap(`${name}: plan, λ = ${lambda}; ${share} % on the diagonal (even: ${chance} %)`, plan, [
        "student",
        "teacher",
      ]),
      heatMap(`${name}: cost, L1; ${number(meanCost(plan, cost))} a unit of mass moved`, cost, [
        "student",
        "teacher",
      ]),
    ].join("");
  });
  const left =
    having.length > mostPlans ? remark(`The first ${mostPlans} of ${having.length} losses are drawn.`) : "";
  return left + plots(drawn);
}
