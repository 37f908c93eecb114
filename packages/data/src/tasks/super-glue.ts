import { DataError, type Row } from "../row.ts";
import { classOf, idOf, labelled, record, string, text } from "./fields.ts";
import { markedText } from "./marked-text.ts";
import { multiRc } from "./multirc.ts";
import { reCord } from "./record.ts";
import type { Task, TaskItem } from "./task.ts";

const truth = ["False", "True"] as const;
const texts = (item: TaskItem): [string, string] => item.fields.map(([, value]) => value) as [string, string];

/** A question of true or false; its two texts are the fields but where others are given. */
function boolean(
  name: string,
  fields: (row: Row) => TaskItem["fields"],
  { sentences = texts, prompted }: Partial<Pick<Task, "sentences" | "prompted">> = {},
): Task {
  return {
    name,
    suite: "superglue",
    kind: "classification",
    labels: truth,
    metrics: ["accuracy"],
    labelNames: ["label"],
    sentences,
    ...(prompted && { prompted }),
    items: (row) => [
      {
        id: idOf(row),
        fields: fields(row),
        ...labelled(classOf(row, row.fields.label, truth)),
        source: row.source,
      },
    ],
  };
}

const value = (item: TaskItem, name: string): string => item.fields.find(([field]) => field === name)![1];

const cb: Task = {
  name: "cb",
  suite: "superglue",
  kind: "classification",
  labels: ["entailment", "contradiction", "neutral"],
  metrics: ["macro-f1", "accuracy"],
  labelNames: ["label"],
  sentences: texts,
  items(row) {
    const fields = [
      ["premise", text(row, "premise")],
      ["hypothesis", text(row, "hypothesis")],
    ] as const;
    return [
      { id: idOf(row), fields, ...labelled(classOf(row, row.fields.label, this.labels)), source: row.source },
    ];
  },
};

const copa: Task = {
  name: "copa",
  suite: "superglue",
  kind: "choice",
  labels: ["choice1", "choice2"],
  metrics: ["accuracy"],
  labelNames: ["label"],
  sentences: (item, choice = 0) => [
    value(item, "premise"),
    `${value(item, "question") === "cause" ? "because" : "so"} ${item.choices![choice]!}`,
  ],
  items(row) {
    const choices = [text(row, "choice1"), text(row, "choice2")];
    const question = text(row, "question");
    if (question !== "cause" && question !== "effect")
      throw new DataError(
        `${row.source}: the question is "${question.slice(0, 40)}", expected cause or effect.`,
      );
    const fields = [
      ["choice1", choices[0]!],
      ["choice2", choices[1]!],
      ["premise", text(row, "premise")],
      ["question", question],
    ] as const;
    const label = classOf(row, row.fields.label, this.labels);
    return [{ id: idOf(row), fields, choices, ...labelled(label), source: row.source }];
  },
};

const wsc = boolean(
  "wsc",
  (row) => {
    const target = row.fields.target === undefined ? row.fields : record(row, row.fields.target, "target");
    return [
      ["pronoun", string(row, target.span2_text, "span2_text")],
      ["noun", string(row, target.span1_text, "span1_text")],
      ["text", text(row, "text")],
      ["marked", markedText(row, target)],
    ];
  },
  {
    sentences: (item) => [value(item, "text"), `${value(item, "pronoun")} is ${value(item, "noun")}`],
    prompted: (item) => [["text", value(item, "marked")]],
  },
);

const superRte: Task = {
  name: "superglue-rte",
  promptName: "rte",
  suite: "superglue",
  kind: "classification",
  labels: ["entailment", "not_entailment"],
  metrics: ["accuracy"],
  labelNames: ["label"],
  sentences: texts,
  items: (row) => cb.items.call(superRte, row),
};

/** SuperGLUE's eight tasks (arXiv 1905.00537), with the metrics of its leaderboard; RTE is GLUE's, in other files. */
export const superGlue: readonly Task[] = [
  boolean("boolq", (row) => [
    ["question", text(row, "question")],
    ["passage", text(row, "passage")],
  ]),
  cb,
  copa,
  multiRc,
  reCord,
  superRte,
  boolean(
    "wic",
    (row) => [
      ["sentence1", text(row, "sentence1")],
      ["sentence2", text(row, "sentence2")],
      ["word", text(row, "word")],
    ],
    {
      sentences: (item) => [
        `${value(item, "word")}: ${value(item, "sentence1")}`,
        `${value(item, "word")}: ${value(item, "sentence2")}`,
      ],
      prompted: ({ fields }) => fields,
    },
  ),
  wsc,
];
