export { changedSettings } from "./changed-settings.ts";
export {
  CheckpointError,
  listCheckpoints,
  readCheckpoint,
  readLastCheckpoint,
  writeCheckpoint,
} from "./checkpoint.ts";
export { writeDurably } from "./durable-file.ts";
export { type MetricsFile, openMetricsFile } from "./metrics-file.ts";
export { duration, type ProgressOptions, progress } from "./progress.ts";
export { openRun, type Run, RunExistsError, type RunOptions } from "./run.ts";
export { lockRun, RunLockedError } from "./run-lock.ts";
export { type EventFile, openEventFile } from "./tensorboard.ts";
