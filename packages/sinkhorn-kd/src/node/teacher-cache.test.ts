import { mkdtemp, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { openTeacherCache, type TeacherOutput } from "./index.ts";

const identity = { model: "m", topK: 2 };
const examples = [[1, 2], [3], [1, 2], [4, 5, 6]];
const dense = (i: number): TeacherOutput => ({
  points: 2,
  columns: 3,
  kept: 3,
  values: Float32Array.from({ length: 6 }, (_, j) => i + j / 8),
});
const sparse = (i: number): TeacherOutput => ({
  points: 1,
  columns: 9,
  kept: 2,
  indices: Int32Array.of(i, 8),
  values: Float32Array.of(-0.5, Number.NEGATIVE_INFINITY),
  tail: Float32Array.of(-3),
});
const place = () => mkdtemp(join(tmpdir(), "fdiv-teacher-"));
const never = () => {
  throw new Error("computed");
};
const segment = async (folder: string): Promise<string> => {
  const [name] = await readdir(folder);
  const [file] = await readdir(join(folder, name!));
  return join(folder, name!, file!);
};

it.each([
  ["all logits", dense],
  ["top-k and tail", sparse],
])("%s: computes each example once, over runs, whatever the order", async (_, make) => {
  const folder = await place();
  const compute = vi.fn(async (missing: readonly number[]) => missing.map(make));
  const first = await openTeacherCache(folder, identity);
  const outputs = await first.outputs(examples, compute);
  expect(compute).toHaveBeenCalledExactlyOnceWith([0, 1, 3]);
  expect(outputs).toEqual([0, 1, 0, 3].map(make));
  await first.close();
  const again = await openTeacherCache(folder, { topK: 2, model: "m" });
  expect(await again.outputs([examples[3]!, examples[0]!], never)).toEqual([make(3), make(0)]);
  expect(again.counts).toEqual({ hits: 2, misses: 0 });
  await again.close();
  const other = await openTeacherCache(folder, { ...identity, model: "n" });
  await other.outputs(examples, compute);
  expect(compute).toHaveBeenCalledTimes(2);
  await other.close();
});

it("tells of a damaged record, computes it anew, and keeps the others", async () => {
  const folder = await place();
  const first = await openTeacherCache(folder, identity);
  await first.outputs(examples, async (missing) => missing.map(dense));
  await first.close();
  const path = await segment(folder);
  const bytes = await readFile(path);
  bytes[8 + 28 + 3]! ^= 1;
  await writeFile(path, bytes);
  const tell = vi.fn();
  const again = await openTeacherCache(folder, identity, tell);
  const compute = vi.fn(async (missing: readonly number[]) => missing.map(() => dense(7)));
  expect(await again.outputs(examples, compute)).toEqual([7, 1, 7, 3].map(dense));
  expect(compute).toHaveBeenCalledExactlyOnceWith([0]);
  expect(tell).toHaveBeenCalledWith(expect.stringMatching(/a record is damaged/));
  await again.close();
});

it("passes over what a killed process left half-written", async () => {
  const folder = await place();
  const first = await openTeacherCache(folder, identity);
  await first.outputs(examples, async (missing) => missing.map(sparse));
  await first.close();
  const path = await segment(folder);
  await truncate(path, (await readFile(path)).length - 5);
  const again = await openTeacherCache(folder, identity);
  const compute = vi.fn(async (missing: readonly number[]) => missing.map(() => sparse(3)));
  expect(await again.outputs(examples, compute)).toEqual([0, 1, 0, 3].map(sparse));
  expect(compute).toHaveBeenCalledExactlyOnceWith([3]);
  await again.close();
});

it("refuses hostile sizes without reserving room for them, foreign files, and ids beyond the vocabulary", async () => {
  const folder = await place();
  const first = await openTeacherCache(folder, identity);
  await first.outputs([[1]], async () => [sparse(8)]);
  await first.close();
  const path = await segment(folder);
  const huge = Buffer.concat([Buffer.from("fdivtch1"), Buffer.alloc(16), Buffer.alloc(12, 0xff)]);
  await writeFile(`${path.slice(0, -9)}-huge.teacher`, huge);
  await writeFile(`${path.slice(0, -9)}-other.teacher`, "something else");
  const bound = Buffer.from(huge);
  bound.writeUInt32LE(1 << 20, 24);
  bound.writeUInt32LE(1 << 20, 28);
  bound.writeUInt32LE(1 << 21, 32);
  await writeFile(`${path.slice(0, -9)}-wide.teacher`, bound);
  const tell = vi.fn();
  const again = await openTeacherCache(folder, identity, tell);
  expect(await again.outputs([[1]], never)).toEqual([sparse(8)]);
  expect(tell.mock.calls.map(([message]) => message).join()).toMatch(
    /sizes can't be.*no cache file.*sizes can't be/,
  );
  await expect(
    again.outputs([[2]], async () => [{ ...dense(0), values: Float32Array.of(Number.NaN, 0, 0, 0, 0, 0) }]),
  ).rejects.toThrow(/NaN/);
  await expect(again.outputs([[2]], async () => [{ ...dense(0), points: 3 }])).rejects.toThrow(
    /does not fit/,
  );
  await expect(again.outputs([[2]], async () => [])).rejects.toThrow(/0 outputs came for 1/);
  await again.outputs([[9]], async () => [{ ...sparse(0), indices: Int32Array.of(0, 9) }]);
  await again.close();
  const last = await openTeacherCache(folder, identity, tell);
  expect(await last.outputs([[9]], async () => [sparse(1)])).toEqual([sparse(1)]);
  await last.close();
});

it("keeps what several processes add", async () => {
  const folder = await place();
  const [one, other] = [await openTeacherCache(folder, identity), await openTeacherCache(folder, identity)];
  await one.outputs([[1]], async () => [dense(1)]);
  await other.outputs([[2]], async () => [dense(2)]);
  await Promise.all([one.close(), other.close()]);
  const third = await openTeacherCache(folder, identity);
  expect(await third.outputs([[1], [2]], never)).toEqual([dense(1), dense(2)]);
  await third.close();
});
