export { demonstrationsOf } from "./demonstration-rows.ts";
export { hash53, hashUniform } from "./hash.ts";
export { classCount, type ImageSet, imageSet, scaledPixels, selectImages } from "./images/image-set.ts";
export { imagesOfArray, labelsOfArray } from "./images/images-of-array.ts";
export type { NumberArray } from "./images/number-array.ts";
export { parseIdx } from "./images/parse-idx.ts";
export { parseNpy } from "./images/parse-npy.ts";
export { resizeImages } from "./images/resize.ts";
export { maxLineLength, parseJsonLine, parseJsonRows, parsePlainText, parseTableRows } from "./parse-rows.ts";
export { type FormatOptions, type PreferenceFormat, preferencesOf } from "./preference-rows.ts";
export { type DataReport, formatDataReport } from "./report.ts";
export {
  DataError,
  type Demonstration,
  type Message,
  type Preference,
  type Row,
  type RowFaults,
} from "./row.ts";
export { datasetFingerprint, splitByPrompt } from "./split.ts";
export { type ScoredGroup, type SynthesisOptions, synthesisePreferences } from "./synthesise.ts";
export { holdOut } from "./tasks/hold-out.ts";
export { perAnswer } from "./tasks/record.ts";
export type { Task, TaskItem, TaskMetric } from "./tasks/task.ts";
export { scoreOfText, type TaskText, type TextForm, taskText } from "./tasks/task-text.ts";
export { task, tasks } from "./tasks/tasks.ts";
export type { Template } from "./template.ts";
export {
  type TokeniseOptions,
  type TokenPair,
  type TokenText,
  tokeniseCandidates,
  tokeniseDemonstrations,
  tokenisePreferences,
} from "./tokenise.ts";
export type { Tokenizer } from "./tokenizer.ts";
export { isTranscript, splitTranscripts, transcriptMessages } from "./transcript.ts";
