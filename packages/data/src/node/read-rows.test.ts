import { existsSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { expect, it, vi } from "vitest";
import { preferencesOf } from "../preference-rows.ts";
import { readRows } from "./read-rows.ts";

async function file(name: string, contents: string | Uint8Array): Promise<string> {
  const path = join(await mkdtemp(join(tmpdir(), "fdiv-data-")), name);
  await writeFile(path, contents);
  return path;
}

it("reads JSONL, plain and gzipped, over chunk borders, with line numbers", async () => {
  const text = `\uFEFF${Array.from({ length: 5000 }, (_, i) => JSON.stringify({ n: i, text: "é".repeat(30) })).join("\n")}`;
  for (const path of [await file("a.jsonl", text), await file("a.jsonl.gz", gzipSync(text))]) {
    const rows = await readRows(path);
    expect(rows).toHaveLength(5000);
    expect(rows[4999]!.fields).toEqual({ n: 4999, text: "é".repeat(30) });
    expect(rows[4999]!.source).toBe(`${path}:5000`);
    expect(await readRows(path, { limit: 3 })).toHaveLength(3);
  }
});

it("stops at a bad line or skips and tells", async () => {
  const path = await file("b.jsonl", '{"a":1}\n{"a":\n\n{"a":3}\n');
  await expect(readRows(path)).rejects.toThrow(/b\.jsonl:2: malformed JSON/);
  const onSkip = vi.fn();
  expect(await readRows(path, { onError: "skip", onSkip })).toHaveLength(2);
  expect(onSkip).toHaveBeenCalledTimes(1);
});

it.each<[string, string | Uint8Array, RegExp]>([
  ["empty.jsonl", "", /no rows/],
  ["latin.jsonl", Uint8Array.of(0x7b, 0xe9, 0x7d), /not UTF-8/],
  ["cut.jsonl.gz", gzipSync('{"a":1}\n'.repeat(1000)).subarray(0, 40), /cut or damaged/],
  ["no.parquet", "PAR0", /no Parquet file/],
  ["cut.parquet", "PAR1xxxxPAR1", /cut\.parquet/],
  ["table.xlsx", "x", /ending "\.xlsx" is none of/],
])("refuses %s", async (name, contents, message) => {
  await expect(readRows(await file(name, contents))).rejects.toThrow(message);
});

it.each(["snappy", "zstd"])("reads Parquet as pyarrow writes it, %s", async (compression) => {
  const path = fileURLToPath(new URL(`../golden/pairs-${compression}.parquet`, import.meta.url));
  const rows = await readRows(path);
  expect(rows).toHaveLength(5);
  expect(rows[4]!.source).toBe(`${path}, row 5`);
  const { preferences, format } = preferencesOf(rows);
  expect(format).toBe("explicit prompt, messages");
  expect(preferences[3]).toMatchObject({
    prompt: [{ role: "user", content: "Question 3, été?" }],
    chosen: [{ role: "assistant", content: "Yes 3." }],
    rejected: [{ role: "assistant", content: "No 3." }],
  });
  expect((await readRows(path, { limit: 2 })).map(({ fields }) => Number(fields.score))).toEqual([0, 1]);
});

it("bounds what a file may decompress to, and says what is absent", async () => {
  const bomb = await file("bomb.jsonl.gz", gzipSync(Buffer.alloc(1 << 22, 32)));
  await expect(readRows(bomb, { maxBytes: 1 << 20 })).rejects.toThrow(/decompresses to more than/);
  await expect(readRows("absent.jsonl")).rejects.toThrow(/absent\.jsonl: no such file/);
  await expect(readRows("hf:a/b")).rejects.toThrow(/not available here/);
});

it("asks a resolver for hf: data sets", async () => {
  const path = await file("c.csv", "text\nhello\n");
  expect((await readRows("hf:a/b", { resolve: async () => [path] }))[0]!.fields).toEqual({ text: "hello" });
  await expect(readRows("hf:a/b", { resolve: async () => [] })).rejects.toThrow(/no data file/);
});

const data = process.env.FDIV_DATA ?? fileURLToPath(new URL("../../../../../shared/data", import.meta.url));
const harmless = join(data, "hh-rlhf/harmless-base/test.jsonl.gz");
it.skipIf(!existsSync(harmless))("reads every pair of hh-rlhf harmless-base (needs FDIV_DATA)", async () => {
  const rows = await readRows(harmless);
  expect(rows).toHaveLength(2312);
  const { preferences, format } = preferencesOf(rows);
  expect(format).toBe("Anthropic transcripts");
  for (const [i, { prompt, chosen, rejected }] of preferences.entries()) {
    expect(`${prompt}${chosen}`).toBe(rows[i]!.fields.chosen);
    expect(`${prompt}${rejected}`).toBe(rows[i]!.fields.rejected);
    expect((prompt as string).endsWith("\n\nAssistant:")).toBe(true);
  }
});
