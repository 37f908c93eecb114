export { gradientVarianceTable, relativeGradientDeviation } from "./distill/gradient-variance.ts";
export { digits, fashion, type ImagesOptions, images, variants } from "./distill/images.ts";
export { type MixturesOptions, mixtures } from "./distill/mixtures.ts";
export { averages, type SweepRow, type SweepRun, sweep, sweepTable } from "./distill/sweep.ts";
export { type FrontierOptions, type FrontierPoint, frontier } from "./frontier.ts";
export {
  type MethodRow,
  type PreferenceMethodsOptions,
  preferenceMethods,
} from "./methods/preference-methods.ts";
export { approachTargets, type TargetsOptions, type TargetsRow } from "./targets.ts";
export { targetsPage, targetsTable } from "./targets-report.ts";
