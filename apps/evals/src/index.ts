export {
  averages,
  type DistillSweepRun,
  distillSweep,
  type SweepRow,
  sweepTable,
} from "./distill/distill-sweep.ts";
export { gradientVarianceTable, relativeGradientDeviation } from "./distill/gradient-variance.ts";
export { digits, fashion, type ImagesOptions, images, variants } from "./distill/images.ts";
export { type MixturesOptions, mixtures } from "./distill/mixtures.ts";
export { approachTargets, type TargetsOptions, type TargetsRow } from "./dpg/targets.ts";
export { targetsPage, targetsTable } from "./dpg/targets-report.ts";
export { type FrontierOptions, type FrontierPoint, frontier } from "./dpo/frontier.ts";
export type { Method, MethodRow } from "./dpo/method.ts";
export { type PreferenceMethodsOptions, preferenceMethods } from "./dpo/preference-methods.ts";
