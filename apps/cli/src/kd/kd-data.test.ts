import { link, mkdir, mkdtemp, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { checkConfig } from "../config/config-file.ts";
import type { Session } from "../session.ts";
import { kdItems } from "./kd-data.ts";
import { kdSchema } from "./kd-schema.ts";

let place: string;
const said: string[] = [];
const session = { warn: (message: string) => void said.push(message) } as Session;

beforeEach(async () => {
  said.length = 0;
  place = await mkdtemp(join(tmpdir(), "fdiv-kd-data-"));
});

const write = async (name: string, text: string): Promise<string> => {
  await writeFile(join(place, name), text);
  return join(place, name);
};

const items = (task: object) =>
  kdItems(checkConfig(kdSchema, { task, student: { model: "m" }, output: "o" }, "test").task!, session);

const sentences = (count: number, label = "label") =>
  `sentence\t${label}\n${Array.from({ length: count }, (_, i) => `s${i}\t${i % 2}\n`).join("")}`;

const pairs = (count: number, premise: string) =>
  `index\tsentence1\tsentence2\tlabel1\tgold_label\n${Array.from({ length: count }, (_, i) => `${i}\t${premise}${i}\tB\tneutral\tneutral\n`).join("")}`;

describe("the items of fdiv kd", () => {
  it("are of the folder's splits, or of files of their own", async () => {
    await write("train.tsv", sentences(40));
    await write("dev.tsv", sentences(7));
    const found = await items({ name: "sst2", folder: place, held: 0.3 });
    expect(found.train.length + found.held.length).toBe(40);
    expect(found.reported).toHaveLength(7);
    const other = await write("elsewhere.tsv", sentences(5));
    const named = { name: "sst2", folder: place, held: 0.3, files: { validation: other } };
    expect((await items(named)).reported).toHaveLength(5);
  });

  it("are never reported from the file that is trained on, under whatever name", async () => {
    const train = await write("train.tsv", sentences(40));
    await expect(items({ name: "sst2", folder: train })).rejects.toThrow(
      /train\.tsv is a file.*give the folder, or each split's own file/,
    );
    const twice = { train, validation: join(place, "..", place.split("/").at(-1)!, "train.tsv") };
    await expect(items({ name: "sst2", files: twice })).rejects.toThrow(
      /is the training file, and can't be reported as validation.*task\.files\.validation/,
    );
    await symlink(train, join(place, "dev.tsv"));
    await expect(items({ name: "sst2", folder: place })).rejects.toThrow(/is the training file/);
    await link(train, join(place, "linked.tsv"));
    const linked = { validation: join(place, "linked.tsv") };
    await expect(items({ name: "sst2", folder: place, files: linked })).rejects.toThrow(/training file/);
    await expect(items({ name: "sst2", files: { train } })).rejects.toThrow(
      /no file for validation; give files\.validation/,
    );
  });

  it("of MNLI have the mismatched split beside the matched one, where it is there", async () => {
    await write("train.tsv", pairs(40, "t"));
    await write("dev_matched.tsv", pairs(6, "m"));
    const task = { name: "mnli", folder: place, held: 0.3 };
    expect((await items(task)).mismatched).toBeUndefined();
    await write("dev_mismatched.tsv", pairs(4, "o"));
    const found = await items(task);
    expect([found.reported.length, found.mismatched!.length]).toEqual([6, 4]);
    expect(found.mismatched![0]!.fields[0]).toEqual(["premise", "o0"]);
    expect(found.text).toMatch(/6 of validation and 4 of validation_mismatched to report/);
    const train = join(place, "train.tsv");
    await expect(items({ ...task, files: { validation_mismatched: train } })).rejects.toThrow(
      /can't be reported as validation_mismatched/,
    );
    await expect(items({ ...task, name: "sst2", files: { test_mismatched: train } })).rejects.toThrow(
      /sst2 has no mismatched split/,
    );
  });

  it("without a label are named by file and column, and counted where they are some", async () => {
    const task = { name: "sst2", folder: place, held: 0.3 };
    await write("train.tsv", sentences(40, "polarity"));
    await write("dev.tsv", sentences(7));
    await expect(items(task)).rejects.toThrow(
      /train\.tsv: no row has a label of sst2, which files call label.*the rows have sentence, polarity/,
    );
    await write("train.tsv", `${sentences(40)}more\t\n`);
    await write("dev.tsv", sentences(7, "polarity"));
    await expect(items(task)).rejects.toThrow(/dev\.tsv: no row has a label/);
    expect(said.join()).toMatch(/train\.tsv: left 1 items out that have no label/);
    await write("test.tsv", "index\tsentence\n0\tgood\n");
    await expect(items({ ...task, report: "test" })).rejects.toThrow(
      /test\.tsv: no row has a label.*report the validation split/,
    );
  });

  it("of ReCoRD whose answer is no entity are reported, and not learnt", async () => {
    const row = (i: number, answer: string) =>
      JSON.stringify({
        ...{ passage: `Ann met Bob ${i}.`, query: "@placeholder left", idx: i },
        ...{ entities: ["Ann", "Bob"], answers: [answer] },
      });
    await mkdir(join(place, "record"));
    const rows = Array.from({ length: 30 }, (_, i) => row(i, i === 3 ? "Carl" : "Bob"));
    await write("record/train.jsonl", rows.join("\n"));
    await write("record/val.jsonl", [row(50, "Carl"), row(51, "Ann")].join("\n"));
    const found = await items({ name: "record", folder: join(place, "record"), held: 0.3 });
    expect(found.reported).toHaveLength(2);
    expect(found.train.length + found.held.length).toBe(29);
    expect(said.join()).toMatch(/left 1 items out of training whose answer is none of their choices/);
  });
});
