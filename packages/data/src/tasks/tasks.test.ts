import { existsSync } from "node:fs";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { holdOut, scoreOfText, task, tasks, taskText } from "../index.ts";
import { readTask } from "../node/index.ts";

async function folder(files: Record<string, string>): Promise<string> {
  const place = await mkdtemp(join(tmpdir(), "fdiv-task-"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(place, name), text);
  return place;
}
const lines = (...rows: (string | object)[]) =>
  `${rows.map((row) => (typeof row === "string" ? row : JSON.stringify(row))).join("\n")}\n`;

/** A file of each task as the suites give it, and what is read from it: fields, label, sentences. */
const official: [name: string, file: string, text: string, want: unknown[]][] = [
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
    [[["Ann met Bob.. They spoke", "Ann was met"], 1]],
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

describe("official files", () => {
  it.each(official)("%s, %s", async (name, file, text, want) => {
    const items = await readTask(task(name), await folder({ [file]: text }), "train");
    expect(items.map((item) => [task(name).sentences(item), item.label])).toEqual(want);
  });

  it("covers every task of both suites", () => {
    expect([...new Set(official.map(([name]) => name))].sort()).toEqual(tasks.map(({ name }) => name).sort());
    expect(task("SST-2")).toBe(task("sst2"));
    expect(() => task("sst3")).toThrow(/no task "sst3"; there are cola/);
  });

  it("reads the copies with numbers for classes, −1 for none", async () => {
    const place = await folder({
      "train.jsonl": lines(
        { premise: "A", hypothesis: "B", label: 2, idx: 0 },
        { premise: "A", hypothesis: "B", label: -1, idx: 1 },
      ),
    });
    const items = await readTask(task("mnli"), place, "train");
    expect(items.map(({ label }) => label)).toEqual([2, undefined]);
    const record = await folder({
      "train.jsonl": lines({
        passage: "Ann met Bob.",
        query: "@placeholder",
        entities: ["Ann", "Bob"],
        answers: ["Bob"],
        idx: { passage: 1, query: 2 },
      }),
    });
    expect((await readTask(task("record"), record, "train"))[0]).toMatchObject({
      id: "1/2",
      label: 1,
      answers: ["Bob"],
    });
    const multi = await folder({
      "train.jsonl": lines({
        paragraph: "T",
        question: "Q",
        answer: "a",
        label: 1,
        idx: { paragraph: 0, question: 5, answer: 7 },
      }),
    });
    expect((await readTask(task("multirc"), multi, "train"))[0]).toMatchObject({
      id: "0/5/7",
      group: "0/5",
      label: 1,
    });
  });

  it("reads Parquet copies as pyarrow writes them: int64 labels, lists, structs", async () => {
    const golden = (file: string) => fileURLToPath(new URL(`golden/${file}`, import.meta.url));
    const mnli = await readTask(task("mnli"), golden("mnli-train.parquet"), "train");
    expect(mnli.map(({ fields, label }) => [fields.map(([, text]) => text), label])).toEqual([
      [["A", "B"], 2],
      [["C", "D"], undefined],
    ]);
    const record = await readTask(task("record"), golden("record-train.parquet"), "train");
    expect(record[0]).toMatchObject({ id: "3/7", label: 1, choices: ["Ann", "Bob"], answers: ["Bob"] });
  });

  it("finds a split's file, MNLI's matched one, and says when there is none", async () => {
    const row = "index\tsentence1\tsentence2\tlabel1\tgold_label\n0\tA\tB\tneutral\tneutral\n";
    const place = await folder({
      "train.tsv": row,
      "dev_matched.tsv": row,
      "dev_mismatched.tsv": row.replace("A", "mis"),
    });
    expect((await readTask(task("mnli"), place, "validation"))[0]!.fields[0]![1]).toBe("A");
    expect(
      (await readTask(task("mnli"), join(place, "dev_mismatched.tsv"), "validation"))[0]!.fields[0]![1],
    ).toBe("mis");
    await expect(readTask(task("mnli"), place, "test")).rejects.toThrow(/no file for test.*dev_matched\.tsv/);
    await expect(readTask(task("mnli"), join(place, "absent"), "test")).rejects.toThrow(/no such folder/);
    const double = await folder({ "a-train.jsonl": "", "b-train.jsonl": "" });
    await expect(readTask(task("cb"), double, "train")).rejects.toThrow(/2 files \(a-train/);
  });

  it("stops at what it can't read with line and reason, or passes it over", async () => {
    const place = await folder({ "train.tsv": "sentence\tlabel\ngood\t1\nbad\nworse\t7\nfine\t1\n" });
    await expect(readTask(task("sst2"), place, "train")).rejects.toThrow(
      /train\.tsv:3: 1 cells in place of 2/,
    );
    const onSkip = vi.fn();
    const items = await readTask(task("sst2"), place, "train", { onError: "skip", onSkip });
    expect(items).toHaveLength(2);
    expect(onSkip.mock.calls.map(([error]) => error.message).join()).toMatch(
      /:4: the label is "7", expected one of negative/,
    );
    const spans = await folder({
      "train.jsonl": lines({ idx: 0, passage: { text: "ab", entities: [{ start: 0, end: 1e9 }] }, qas: [] }),
    });
    await expect(readTask(task("record"), spans, "train")).rejects.toThrow(
      /an entity spans 0 to 1000000000 of 2/,
    );
    const latin = await folder({});
    await writeFile(join(latin, "train.tsv"), Uint8Array.of(0x73, 0xe9, 0x0a));
    await expect(readTask(task("sst2"), latin, "train")).rejects.toThrow(/not UTF-8/);
    await mkdir(join(latin, "empty"));
  });
});

describe("text-to-text", () => {
  it("writes each task's prompt, candidates and answer", async () => {
    const [item] = await readTask(task("rte"), await folder({ "train.tsv": official[8]![2] }), "train");
    expect(taskText(task("rte"), item!, "encoder-decoder")).toEqual({
      prompt: "rte sentence1: A sentence2: B",
      candidates: ["entailment", "not_entailment"],
      completion: "entailment",
    });
    expect(taskText(task("rte"), item!, "decoder-only")).toEqual({
      prompt: "rte sentence1: A sentence2: B answer:",
      candidates: [" entailment", " not_entailment"],
      completion: " entailment",
    });
  });

  it("every official row has a prompt, its answer among the candidates, or a score that reads back", async () => {
    for (const [name, file, text] of official)
      for (const item of await readTask(task(name), await folder({ [file]: text }), "train")) {
        const { prompt, candidates, completion } = taskText(task(name), item, "encoder-decoder");
        expect(prompt.startsWith(`${name} `)).toBe(true);
        if (candidates) expect(candidates).toContain(completion);
        else expect(scoreOfText(completion!)).toBeCloseTo(item.label!, 1);
      }
    expect(scoreOfText(" 4.2 ")).toBe(4.2);
    expect(scoreOfText("4.2 or so")).toBeNaN();
  });
});

describe("held-out items", () => {
  it("do not depend on the file's order, keep a passage together, and are about the share", () => {
    const items = Array.from({ length: 2000 }, (_, i) => ({
      id: String(i),
      fields: [
        ["question", `q${i}`],
        ["passage", `p${Math.floor(i / 4)}`],
      ] as const,
      source: "",
    }));
    const { train, held } = holdOut(items, 0.1, 3);
    expect(Math.abs(held.length - 200)).toBeLessThan(60);
    const passages = new Set(train.map(({ fields }) => fields[1]![1]));
    expect(held.some(({ fields }) => passages.has(fields[1]![1]))).toBe(false);
    fc.assert(
      fc.property(fc.shuffledSubarray(items, { minLength: 2000 }), (shuffled) => {
        const again = holdOut(shuffled, 0.1, 3).held;
        expect(new Set(again)).toEqual(new Set(held));
      }),
      { numRuns: 5 },
    );
    expect(() => holdOut(items.slice(0, 1), 0.1)).toThrow(/leaves/);
    expect(() => holdOut(items, 1)).toThrow(RangeError);
  });
});

const data = process.env.FDIV_DATA ?? fileURLToPath(new URL("../../../../../shared/data", import.meta.url));
it.skipIf(!existsSync(join(data, "glue/RTE")))(
  "reads RTE, MRPC and SST-2 whole (needs FDIV_DATA)",
  async () => {
    const counts = async (name: string, place: string) =>
      Promise.all(
        (["train", "validation"] as const).map(
          async (split) => (await readTask(task(name), join(data, place), split)).length,
        ),
      );
    expect(await counts("rte", "glue/RTE")).toEqual([2490, 277]);
    expect(await counts("mrpc", "glue/MRPC")).toEqual([3667, 408]);
    expect(await counts("sst2", "sst2")).toEqual([6920, 872]);
    expect(await readTask(task("sst2"), join(data, "sst2"), "test")).toHaveLength(1821);
  },
);
