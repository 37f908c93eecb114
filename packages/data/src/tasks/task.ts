import type { Row } from "../row.ts";

/** One question of a task as the official files ask it. */
export interface TaskItem {
  id: string;
  /** What is judged together: MultiRC's question, to which several answers belong. */
  group?: string;
  /** The texts of the question by name. */
  fields: readonly (readonly [name: string, text: string])[];
  /** Index of the class or of the right choice, or the score of a regression; absent in unlabelled files. */
  label?: number;
  /** What can be chosen from: COPA's two sentences, ReCoRD's entities. */
  choices?: readonly string[];
  /** Every right answer's text, where more than one can be right (ReCoRD); none of them need be among the choices. */
  answers?: readonly string[];
  /** Where it came from, for messages. */
  source: string;
}

/** How predictions of a task are judged; the official metrics. */
export type TaskMetric =
  | "accuracy"
  | "f1"
  | "macro-f1"
  | "matthews"
  | "pearson"
  | "spearman"
  | "answer-f1"
  | "exact-match"
  | "text-f1"
  | "text-exact-match";

export interface Task {
  /** As configurations name it: `sst2`, `multirc`. */
  name: string;
  suite: "glue" | "superglue";
  /** A class of few, a score, or one of an item's own choices. */
  kind: "classification" | "regression" | "choice";
  /** What the classes are called, by index, in text-to-text form; empty for regression and for choices of their own. */
  labels: readonly string[];
  /** The official metrics, the first of which chooses checkpoints. */
  metrics: readonly TaskMetric[];
  /** Column names of files without a header. */
  columns?: readonly string[];
  /** What files call the label. */
  labelNames: readonly string[];
  /** What text-to-text prompts call the task, where it is not its name. */
  promptName?: string;
  /** The texts as a text-to-text prompt has them, in order; the fields sorted by name when absent. */
  prompted?(item: TaskItem): TaskItem["fields"];
  /** The questions of one row. @throws DataError naming file, line and field */
  items(row: Row): TaskItem[];
  /** One text, or two, for an encoder; of a choice, those of one candidate. */
  sentences(item: TaskItem, choice?: number): [string] | [string, string];
}
