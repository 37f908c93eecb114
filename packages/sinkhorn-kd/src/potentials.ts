import { type SinkhornAttributes, sinkhornKernel } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { andersonPotentials } from "./anderson.ts";
import { kernelDomain } from "./kernel-domain.ts";
import type { SinkhornPlanning } from "./sinkhorn-options.ts";
import { type Solution, solutionOf } from "./solution.ts";
import type { TransportProblem } from "./transport-problem.ts";

const dampingOf = (rho: number, lambda: number): number =>
  rho === Number.POSITIVE_INFINITY ? 1 : rho / (rho + lambda);

/** What the kernels are told at one λ. */
export function attributesOf(planning: SinkhornPlanning, lambda = planning.lambda): SinkhornAttributes {
  const { acceleration, rho } = planning;
  return {
    lambda,
    iterations: planning.iterations,
    tolerance: planning.tolerance,
    checkEvery: planning.checkEvery,
    rowDamping: dampingOf(rho.rows, lambda),
    columnDamping: dampingOf(rho.columns, lambda),
    relaxation: acceleration.kind === "momentum" ? acceleration.relaxation : 1,
    keepHistory: false,
  };
}

/** The attributes of each stage: those before the last do all their iterations. */
export function stagesOf(planning: SinkhornPlanning): SinkhornAttributes[] {
  const last = planning.stages.length - 1;
  return planning.stages.map(({ lambda, iterations }, i) => ({
    ...attributesOf(planning, lambda),
    iterations,
    ...(i < last && { tolerance: 0 }),
  }));
}

export interface Start {
  fStart: tf.Tensor;
  gStart: tf.Tensor;
}

export const startOf = ({ a, b }: TransportProblem): Start => ({
  fStart: tf.zeros(a.shape),
  gStart: tf.zeros(b.shape),
});

/** Solves problems as planned, without any gradient. */
export function solve(problem: TransportProblem, planning: SinkhornPlanning): Solution {
  return tf.tidy(() => {
    if (planning.domain === "kernel") return { ...kernelDomain(problem, planning) };
    const stages = stagesOf(planning);
    let start = startOf(problem);
    for (const attributes of stages.slice(0, -1)) {
      const [f, g] = sinkhornKernel({ ...problem, ...start }, attributes);
      start = { fStart: f!, gStart: g! };
    }
    const last = stages.at(-1)!;
    if (planning.acceleration.kind === "anderson")
      return { ...andersonPotentials(problem, start, last, planning.acceleration) };
    return { ...solutionOf(sinkhornKernel({ ...problem, ...start }, last)) };
  });
}
