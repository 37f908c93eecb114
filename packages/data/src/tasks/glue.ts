import type { Row } from "../row.ts";
import { classOf, idOf, labelled, scoreOf, text } from "./fields.ts";
import type { Task, TaskItem, TaskMetric } from "./task.ts";

interface Description {
  name: string;
  labels: readonly string[];
  metrics: readonly TaskMetric[];
  /** What each text is called: first as prompts name it, then as files may. */
  texts: readonly (readonly string[])[];
  columns?: readonly string[];
}

const labelNames = ["label", "gold_label", "is_duplicate", "Quality"] as const;

const sentences = (item: TaskItem): [string] | [string, string] =>
  item.fields.map(([, value]) => value) as [string, string];

function classification({ name, labels, metrics, texts, columns }: Description): Task {
  return {
    name,
    suite: "glue",
    kind: "classification",
    labels,
    metrics,
    ...(columns && { columns }),
    labelNames,
    sentences,
    items(row: Row) {
      const { label, gold_label, is_duplicate, Quality } = row.fields;
      const fields = texts.map((names) => [names[0]!, text(row, ...names)] as const);
      const value = gold_label ?? label ?? is_duplicate ?? Quality;
      return [{ id: idOf(row), fields, ...labelled(classOf(row, value, labels)), source: row.source }];
    },
  };
}

const entailment = ["entailment", "not_entailment"] as const;
const pair = [
  ["sentence1", "premise"],
  ["sentence2", "hypothesis"],
] as const;

/** GLUE's nine tasks (arXiv 1804.07461), with the metrics of its leaderboard. */
export const glue: readonly Task[] = [
  classification({
    name: "cola",
    labels: ["unacceptable", "acceptable"],
    metrics: ["matthews"],
    texts: [["sentence"]],
    columns: ["genre", "label", "star", "sentence"],
  }),
  classification({
    name: "sst2",
    labels: ["negative", "positive"],
    metrics: ["accuracy"],
    texts: [["sentence", "text"]],
  }),
  classification({
    name: "mrpc",
    labels: ["not_equivalent", "equivalent"],
    metrics: ["f1", "accuracy"],
    texts: [
      ["sentence1", "#1 String"],
      ["sentence2", "#2 String"],
    ],
  }),
  classification({
    name: "qqp",
    labels: ["not_duplicate", "duplicate"],
    metrics: ["f1", "accuracy"],
    texts: [["question1"], ["question2"]],
  }),
  {
    name: "stsb",
    suite: "glue",
    kind: "regression",
    labels: [],
    metrics: ["pearson", "spearman"],
    labelNames: ["score", "label"],
    sentences,
    items: (row) => [
      {
        id: idOf(row),
        fields: [
          ["sentence1", text(row, "sentence1")],
          ["sentence2", text(row, "sentence2")],
        ],
        ...labelled(scoreOf(row, row.fields.score ?? row.fields.label)),
        source: row.source,
      },
    ],
  },
  classification({
    name: "mnli",
    labels: ["entailment", "neutral", "contradiction"],
    metrics: ["accuracy"],
    texts: [
      ["premise", "sentence1"],
      ["hypothesis", "sentence2"],
    ],
  }),
  classification({
    name: "qnli",
    labels: entailment,
    metrics: ["accuracy"],
    texts: [["question"], ["sentence"]],
  }),
  classification({ name: "rte", labels: entailment, metrics: ["accuracy"], texts: pair }),
  classification({
    name: "wnli",
    labels: ["not_entailment", "entailment"],
    metrics: ["accuracy"],
    texts: pair,
  }),
];
