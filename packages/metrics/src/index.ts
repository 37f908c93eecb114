export { brierScore, type CalibrationBin, expectedCalibrationError } from "./calibration.ts";
export { distinctN, ngramEntropy, selfBleu } from "./diversity.ts";
export {
  bootstrapInterval,
  effectiveSampleSize,
  type Interval,
  meanInterval,
  pairedDifference,
  wilsonInterval,
} from "./intervals.ts";
export { normalQuantile, studentQuantile } from "./quantiles.ts";
