export { overTokens } from "./answer-vocabulary.ts";
export { type Cost, costMatrix } from "./cost-matrix.ts";
export {
  type MultiLevelLoss,
  type MultiLevelOptions,
  multiLevelDistillation,
  type UniversalLogitOptions,
  universalLogitDistance,
} from "./cross-vocabulary.ts";
export {
  type DistillationBatch,
  type DistillationLoss,
  type DistillationLossOptions,
  distillationLoss,
} from "./distillation-loss.ts";
export { KernelUnderflowError, SinkhornError } from "./errors.ts";
export { generalisedJensenShannon, skewForwardKl, skewReverseKl } from "./interpolated-divergences.ts";
export {
  type DistillationLevel,
  type LogitDistillationOptions,
  logitDistillation,
} from "./logit-distillation.ts";
export type { MarginalFit } from "./marginal-fit.ts";
export { roundPlan } from "./round-plan.ts";
export { type SampleWiseLoss, type SampleWiseOptions, sampleWiseSinkhorn } from "./sample-wise.ts";
export { type SinkhornResult, sinkhorn, sinkhornPlan } from "./sinkhorn.ts";
export { type SinkhornDivergenceOptions, sinkhornDivergence } from "./sinkhorn-divergence.ts";
export { type Formulation, type SinkhornKdLoss, type SinkhornKdOptions, sinkhornKd } from "./sinkhorn-kd.ts";
export type {
  Acceleration,
  Marginals,
  Objective,
  Ragged,
  SinkhornOptions,
  Stopping,
} from "./sinkhorn-options.ts";
export {
  denseTeacher,
  type SparseDistillationOptions,
  type SparseTeacher,
  sparseDistillation,
  sparseTeacher,
} from "./sparse-teacher.ts";
export type { TeacherStudent } from "./teacher-student.ts";
