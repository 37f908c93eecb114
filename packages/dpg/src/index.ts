export type { ActorCritic, TokenReference, TokenScores } from "./actor-critic.ts";
export { checkZeros, InfiniteDivergenceError, toleratesZeros } from "./admissibility.ts";
export { type Advantages, generalisedAdvantages, whiten } from "./advantages.ts";
export { type ApproximateState, type Approximation, approximate } from "./approximate.ts";
export type { ApproximateOptions } from "./approximate-options.ts";
export { type AutoregressiveTabularPolicy, autoregressiveTabularPolicy } from "./autoregressive-tabular.ts";
export { addToRunning, type BaselineKind, type RunningMean, runningValue } from "./baseline.ts";
export { checkEstimator, type EstimatorCheck } from "./check-estimator.ts";
export {
  type Constraint,
  type ConstraintFit,
  type ConstraintOptions,
  InfeasibleMomentsError,
  UnseenFeatureError,
} from "./constrain.ts";
export {
  dpgLoss,
  type Estimator,
  type EstimatorBatch,
  type EstimatorOptions,
  estimator,
} from "./estimator.ts";
export { type Exact, type ExactProblem, exactEstimator } from "./exact.ts";
export {
  batchedFeature,
  type Feature,
  type FeatureFunction,
  type FeatureLike,
  type FeatureOptions,
  feature,
  ScoreError,
} from "./feature.ts";
export {
  adaptiveKlCoefficient,
  divergencePenalty,
  fixedKlCoefficient,
  type KlCoefficient,
  k1,
  k2,
  k3,
  penalisedRewards,
} from "./kl-penalty.ts";
export { LawMismatchError, type SamplingLaw } from "./law.ts";
export {
  type Estimated,
  estimateMeasures,
  estimateToTarget,
  estimateUnderPolicy,
  type MeasureBatch,
  type Measures,
} from "./measures.ts";
export {
  addDraws,
  estimatePartition,
  knownPartition,
  NoSupportError,
  type PartitionEstimate,
  type PartitionSums,
  partitionOf,
} from "./partition.ts";
export { matches, type PatternOptions } from "./pattern.ts";
export {
  type Distribution,
  type Enumerable,
  type LogProbs,
  type Policy,
  type Proposal,
  SampleCountError,
  type Samples,
  type Snapshot,
} from "./policy.ts";
export { type PpoRun, type PpoState, ppo } from "./ppo.ts";
export { type PpoLoss, ppoLoss, valueLoss } from "./ppo-loss.ts";
export type { PpoOptions } from "./ppo-options.ts";
export { flatPpoMetrics, type PpoRow } from "./ppo-row.ts";
export {
  type AcceptancePoint,
  acceptanceCurve,
  type QuasiRejection,
  quasiRejection,
} from "./quasi-rejection.ts";
export { replay, type StoredSample } from "./replay.ts";
export { booleanScorer, exponentialScorer, positiveScorer, type Scorer } from "./scorer.ts";
export { dpg, gdc, type RewardOptions, reinforceAdvantages, reinforceWithKl, rloo } from "./special-cases.ts";
export { flatMetrics, type StepRow } from "./step-row.ts";
export {
  type TableContext,
  type TabularDistribution,
  type TabularPolicy,
  type TabularSnapshot,
  tabularDistribution,
  tabularPolicy,
} from "./tabular.ts";
export { type TabularActorCritic, tabularActorCritic } from "./tabular-actor-critic.ts";
export {
  type BasedTarget,
  type ConstrainedTarget,
  type Scores,
  type Target,
  target,
  unnormalised,
} from "./target.ts";
export {
  balancedBrackets,
  classifier,
  containsWord,
  type HasText,
  length,
  lexicon,
  validJson,
} from "./text-features.ts";
export { type WeightStatistics, weightStatistics } from "./weights.ts";
