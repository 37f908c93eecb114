import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { perAnswer, task, tasks } from "../index.ts";
import { readTask, type TaskPlace, type TaskSplit } from "../node/index.ts";
import { folder, lines, official } from "./official-files.testing.ts";

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
    const mnli = await readTask(task("mnli"), { files: { train: golden("mnli-train.parquet") } }, "train");
    expect(mnli.map(({ fields, label }) => [fields.map(([, text]) => text), label])).toEqual([
      [["A", "B"], 2],
      [["C", "D"], undefined],
    ]);
    const record = await readTask(
      task("record"),
      { files: { train: golden("record-train.parquet") } },
      "train",
    );
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
    const first = async (where: TaskPlace, split: TaskSplit) =>
      (await readTask(task("mnli"), where, split))[0]!.fields[0]![1];
    expect(await first(place, "validation_mismatched")).toBe("mis");
    const named = { folder: place, files: { validation: join(place, "dev_mismatched.tsv") } };
    expect(await first(named, "validation")).toBe("mis");
    expect(await first(named, "train")).toBe("A");
    await expect(readTask(task("mnli"), place, "test")).rejects.toThrow(/no file for test.*dev_matched\.tsv/);
    await expect(readTask(task("mnli"), join(place, "absent"), "test")).rejects.toThrow(/no such folder/);
    const double = await folder({ "a-train.jsonl": "", "b-train.jsonl": "" });
    await expect(readTask(task("cb"), double, "train")).rejects.toThrow(
      /2 files \(a-train.*name one: files: \{ train/,
    );
    await expect(readTask(task("mnli"), join(place, "train.tsv"), "train")).rejects.toThrow(
      /train\.tsv is a file.*give the folder, or each split's own file: files/,
    );
    await expect(readTask(task("mnli"), { files: { train: double } }, "train")).rejects.toThrow(
      /files\.train: .* is no file/,
    );
    await expect(readTask(task("mnli"), { files: {} }, "test")).rejects.toThrow(/give files\.test/);
  });

  it("names the file, the label and the columns where nothing has a label, and counts what is left out", async () => {
    const place = await folder({
      "train.tsv": "sentence\tlabel\ngood\t1\nbad\t\n",
      "dev.tsv": "sentence\ttarget\ngood\t1\n",
    });
    const onUnlabelled = vi.fn();
    const items = await readTask(task("sst2"), place, "train", { labelled: true, onUnlabelled });
    expect(items).toHaveLength(1);
    expect(onUnlabelled.mock.calls).toEqual([[1, join(place, "train.tsv")]]);
    expect(await readTask(task("sst2"), place, "validation")).toHaveLength(1);
    await expect(readTask(task("sst2"), place, "validation", { labelled: true })).rejects.toThrow(
      /dev\.tsv: no row has a label of sst2, which files call label, or gold_label.*the rows have sentence, target/,
    );
  });

  it("keeps a query of ReCoRD whose answer is none of the entities, since it is judged too", async () => {
    const row = { passage: "Ann met Bob.", query: "@placeholder", entities: ["Ann", "Bob"] };
    const place = await folder({
      "val.jsonl": lines({ ...row, answers: ["Carl"] }, { ...row, answers: ["Bob", "Ann"] }, row),
    });
    const items = await readTask(task("record"), place, "validation", { labelled: true });
    expect(items.map(({ label, answers }) => [label, answers])).toEqual([
      [undefined, ["Carl"]],
      [0, ["Bob", "Ann"]],
    ]);
    expect(items.flatMap(perAnswer).map(({ label }) => label)).toEqual([undefined, 0, 1]);
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
