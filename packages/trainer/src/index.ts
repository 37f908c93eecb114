export {
  type BatchPlace,
  type BatchSource,
  microBatches,
  type ShuffledBatchOptions,
  shuffledBatches,
} from "./batches.ts";
export { NonFiniteError } from "./non-finite.ts";
export { type Schedule, type ScheduleOptions, schedule } from "./schedule.ts";
export {
  type MicroBatchLoss,
  type RunStore,
  type StepRow,
  type TrainCallbacks,
  type TrainOptions,
  type TrainResult,
  type TrainState,
  train,
} from "./train.ts";
