export { checkZeros, InfiniteDivergenceError, toleratesZeros } from "./admissibility.ts";
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
export { booleanScorer, exponentialScorer, positiveScorer, type Scorer } from "./scorer.ts";
export {
  type TableContext,
  type TabularDistribution,
  type TabularPolicy,
  type TabularSnapshot,
  tabularDistribution,
  tabularPolicy,
} from "./tabular.ts";
export {
  type BasedTarget,
  type ConstrainedTarget,
  type Scores,
  type Target,
  target,
  unnormalised,
} from "./target.ts";
export { type WeightStatistics, weightStatistics } from "./weights.ts";
