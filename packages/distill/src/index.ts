export { checkWeightAdmissible, InadmissibleWeightError, isWeightAdmissible } from "./admissibility.ts";
export { discriminatorLoss, generatorAdversarialLoss } from "./adversarial-loss.ts";
export type { Denoiser, Discriminator, Generator, TrainableDenoiser } from "./denoiser.ts";
export { type DensityRatio, type DensityRatioOptions, densityRatio } from "./density-ratio.ts";
export { distil } from "./distil.ts";
export type {
  Distillation,
  DistilOptions,
  DistilRow,
  ExactLogRatio,
  GradientPenaltyOptions,
} from "./distil-options.ts";
export {
  distributionMatching,
  type Matching,
  type MatchingInputs,
  type MatchingOptions,
  variationalScoreDistillation,
} from "./distribution-matching.ts";
export { DivergedError } from "./diverged.ts";
export {
  type DivergenceAtNoiseOptions,
  divergenceAtNoise,
  divergencesAtNoise,
} from "./divergence-at-noise.ts";
export { dmd2 } from "./dmd2.ts";
export { type EdmCoefficients, edmCoefficients, edmDenoiser, edmLoss, type Network } from "./edm.ts";
export { type Ema, type EmaOptions, ema, powerExponent } from "./ema.ts";
export {
  type GaussianMixture,
  gaussian,
  gaussianMixture,
  type MixtureComponent,
} from "./gaussian-mixture.ts";
export { approximateGradientPenalty, exactGradientPenalty } from "./gradient-penalty.ts";
export { classifierFreeGuidance, dropLabels, type GuidanceOptions, noLabel } from "./guidance.ts";
export { karrasGrid } from "./karras-grid.ts";
export type { LearnerOptions } from "./learner.ts";
export {
  type MatchingMetrics,
  matchingWeights,
  type Ratios,
  type WeightOptions,
} from "./matching-weights.ts";
export {
  fixedNoise,
  karrasUniformNoise,
  logNormalNoise,
  logUniformNoise,
  type NoiseDistribution,
  scheduleUniformNoise,
} from "./noise-distribution.ts";
export { addNoise, scoreOf } from "./noise-level.ts";
export {
  type RatioNormaliser,
  type RatioNormaliserOptions,
  type RatioNormaliserState,
  ratioNormaliser,
} from "./ratio-normaliser.ts";
export {
  oneStepGenerator,
  type SampleOptions,
  type SamplerKind,
  type SamplingProgress,
  sample,
} from "./samplers.ts";
export { levelOfStep, stepOfLevel } from "./schedule-steps.ts";
export { decodeSnapshot, encodeSnapshot, type Snapshot } from "./snapshot.ts";
export {
  type Batch,
  type DataSource,
  type DenoiserTraining,
  type TrainDenoiserOptions,
  type TrainDenoiserRow,
  trainDenoiser,
} from "./train-denoiser.ts";
export { type Phase, type UpdateScheduleOptions, updateSchedule } from "./update-schedule.ts";
