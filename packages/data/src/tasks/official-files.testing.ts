import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A new folder with files of these texts. */
export async function folder(files: Record<string, string>): Promise<string> {
  const place = await mkdtemp(join(tmpdir(), "fdiv-task-"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(place, name), text);
  return place;
}
export const lines = (...rows: (string | object)[]) =>
  `${rows.map((row) => (typeof row === "string" ? row : JSON.stringify(row))).join("\n")}\n`;

/** A file of each task as the suites give it, and what is read from it: fields, label, sentences. */
export const official: [name: string, file: string, text: string, want: unknown[]][] = [
  [
    "cola",
    "train.tsv",
    "gj04\t1\t\tOur friends won't buy it.\ngj04\t0\t*\tThem bought\n",
    [
      [["Our friends won't buy it."], 1],
      [["Them bought"], 0],
    ],
  ],
  ["sst2", "train.tsv", "sentence\tlabel\nhide new secretions \t0\n", [[["hide new secretions"], 0]]],
  ["sst2", "stsa.binary.train", '1 a stirring , "funny" film\n', [[['a stirring , "funny" film'], 1]]],
  [
    "mrpc",
    "train.tsv",
    '\uFEFFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t7\t8\tHe said "so\t" so he did\r\n',
    [[['He said "so', '" so he did'], 1]],
  ],
  [
    "qqp",
    "train.tsv",
    "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\tA?\tB?\t0\n",
    [[["A?", "B?"], 0]],
  ],
  [
    "stsb",
    "train.tsv",
    "index\tgenre\tsentence1\tsentence2\tscore\n0\tmain\tA\tB\t3.8\n",
    [[["A", "B"], 3.8]],
  ],
  [
    "mnli",
    "train.tsv",
    "index\tsentence1\tsentence2\tlabel1\tgold_label\n0\tA\tB\tneutral\tcontradiction\n",
    [[["A", "B"], 2]],
  ],
  [
    "qnli",
    "train.tsv",
    "index\tquestion\tsentence\tlabel\n0\tWho?\tHe.\tnot_entailment\n",
    [[["Who?", "He."], 1]],
  ],
  ["rte", "train.tsv", "index\tsentence1\tsentence2\tlabel\n5\tA\tB\tentailment\n", [[["A", "B"], 0]]],
  ["wnli", "train.tsv", "index\tsentence1\tsentence2\tlabel\n0\tA\tB\t1\n", [[["A", "B"], 1]]],
  [
    "boolq",
    "train.jsonl",
    lines({ question: "is it", passage: "It is.", idx: 0, label: true }),
    [[["is it", "It is."], 1]],
  ],
  [
    "cb",
    "train.jsonl",
    lines({ premise: "P", hypothesis: "H", label: "contradiction", idx: 0 }),
    [[["P", "H"], 1]],
  ],
  [
    "copa",
    "train.jsonl",
    lines({ premise: "P.", choice1: "one", choice2: "two", question: "cause", label: 1, idx: 0 }),
    [[["P.", "because one"], 1]],
  ],
  [
    "multirc",
    "train.jsonl",
    lines({
      idx: 3,
      passage: {
        text: "T",
        questions: [
          {
            question: "Q?",
            idx: 9,
            answers: [
              { text: "a", idx: 1, label: 1 },
              { text: "b", idx: 2, label: 0 },
            ],
          },
        ],
      },
    }),
    [
      [["T", "Q? a"], 1],
      [["T", "Q? b"], 0],
    ],
  ],
  [
    "record",
    "train.jsonl",
    lines({
      idx: 0,
      passage: {
        text: "Ann met Bob.\n@highlight\nThey spoke",
        entities: [
          { start: 0, end: 2 },
          { start: 8, end: 10 },
        ],
      },
      qas: [{ query: "@placeholder was met", idx: 4, answers: [{ start: 8, end: 10, text: "Bob" }] }],
    }),
    [[["Ann met Bob. They spoke", "Ann was met"], 1]],
  ],
  [
    "superglue-rte",
    "train.jsonl",
    lines({ premise: "P", hypothesis: "H", label: "not_entailment", idx: 0 }),
    [[["P", "H"], 1]],
  ],
  [
    "wic",
    "train.jsonl",
    lines({ word: "place", sentence1: "A", sentence2: "B", label: false, idx: 0 }),
    [[["place: A", "place: B"], 0]],
  ],
  [
    "wsc",
    "train.jsonl",
    lines({
      target: { span1_index: 0, span1_text: "Mark", span2_index: 3, span2_text: "he" },
      text: "Mark said he",
      idx: 0,
      label: true,
    }),
    [[["Mark said he", "he is Mark"], 1]],
  ],
];
