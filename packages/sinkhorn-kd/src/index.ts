export { type Cost, costMatrix } from "./cost-matrix.ts";
export { KernelUnderflowError, SinkhornError } from "./errors.ts";
export { roundPlan } from "./round-plan.ts";
export { type SinkhornResult, sinkhorn, sinkhornPlan } from "./sinkhorn.ts";
export { type SinkhornDivergenceOptions, sinkhornDivergence } from "./sinkhorn-divergence.ts";
export type {
  Acceleration,
  Marginals,
  Objective,
  Ragged,
  SinkhornOptions,
  Stopping,
} from "./sinkhorn-options.ts";
