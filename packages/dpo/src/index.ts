export { checkAdmissible, InadmissibleDivergenceError, isAdmissible } from "./admissibility.ts";
export { bradleyTerryConfidence, choiceOutcomes, meanTokenLikelihood } from "./confidence.ts";
export { type DisplacementAlarm, type DisplacementState, displacementAlarm } from "./displacement.ts";
export { hingeLoss, ipoLoss, robustLoss, sigmoidLoss } from "./margin-losses.ts";
export { optimalPolicy } from "./optimal-policy.ts";
export {
  type Pair,
  type PairLogProbs,
  type PreferenceLoss,
  type PreferenceLossKind,
  type PreferenceLossOptions,
  preferenceLoss,
} from "./preference-loss.ts";
export { preferenceMetrics } from "./preference-metrics.ts";
export { sftLoss } from "./sft-loss.ts";
