export { ConfigError, checkConfig, jsonSchema, readConfig } from "./config/config-file.ts";
export {
  type DpoConfig,
  dpoSchema,
  type EvalConfig,
  evalSchema,
  type SftConfig,
  sftSchema,
} from "./config/schemas.ts";
export { type Corpus, closedCorpus, wordNetSentences } from "./demo/corpus.ts";
export { type EvaluationRow, evaluateAligned } from "./demo/evaluate-aligned.ts";
export { wordTokenizerConfig, wordTokenizerJson } from "./demo/word-tokenizer.ts";
export { distill as distillRun } from "./distill/distill.ts";
export { type DistillConfig, distillSchema } from "./distill/distill-schema.ts";
export type { DistillationEvaluation } from "./distill/evaluate-distillation.ts";
export type { MeasuredRow } from "./distill/measure-samples.ts";
export { approach as approachTarget } from "./dpg/approach.ts";
export { type DpgConfig, dpgSchema } from "./dpg/dpg-schema.ts";
export { distil as distilRun } from "./kd/distil.ts";
export type { KdEvaluation } from "./kd/evaluate-student.ts";
export { ignoredKeys } from "./kd/ignored-keys.ts";
export { type KdConfig, kdKeys, kdSchema } from "./kd/kd-schema.ts";
export { main, program } from "./main.ts";
export { type PpoConfig, ppoSchema } from "./ppo/ppo-schema.ts";
export { raiseReward as raiseRewardRun } from "./ppo/raise-reward.ts";
export { sentiment } from "./rewards/sentiment.ts";
export { align as alignRun } from "./runs/align.ts";
export {
  evaluatePolicy,
  type PolicyEvaluation,
  rewardSamples,
  type Sample,
  samplePolicy,
  scoreSamples,
} from "./runs/evaluate-policy.ts";
export { fineTune as fineTuneRun } from "./runs/fine-tune.ts";
export { type GlobalOptions, openSession, type Session } from "./session.ts";
