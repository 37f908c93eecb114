export { answerExactMatch, answerF1, groupExactMatch } from "./answers.ts";
export { brierScore, type CalibrationBin, expectedCalibrationError } from "./calibration.ts";
export { accuracy, f1Score, macroF1, matthewsCorrelation } from "./classification.ts";
export { pearsonCorrelation, spearmanCorrelation } from "./correlation.ts";
export { distinctN, ngramEntropy, selfBleu } from "./diversity.ts";
export { type FeatureSet, featureSet } from "./feature-set.ts";
export {
  frechetDistance,
  frechetDistanceTo,
  type GaussianMoments,
  gaussianFrechetDistance,
  gaussianMoments,
  type SampleDistance,
} from "./frechet-distance.ts";
export {
  bootstrapInterval,
  clusteredInterval,
  effectiveSampleSize,
  type Interval,
  meanInterval,
  pairedDifference,
  wilsonInterval,
} from "./intervals.ts";
export {
  type ClassHistogram,
  classHistogram,
  type Mode,
  type ModeCoverage,
  modeCoverage,
} from "./mode-coverage.ts";
export {
  type NeighbourCoverage,
  type NeighbourScores,
  neighbourCoverage,
  neighbourCoverageOf,
} from "./neighbour-coverage.ts";
export { normalQuantile, studentQuantile } from "./quantiles.ts";
