import { mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { openReferenceCache } from "./reference-cache.ts";

const sequences = [
  { ids: [1, 2, 3], scoredFrom: 1 },
  { ids: [1, 2, 3], scoredFrom: 2 },
  { ids: [1, 2, 3], scoredFrom: 1 },
];
const identity = { model: "m", template: "plain", maxLength: 512 };
const place = () => mkdtemp(join(tmpdir(), "fdiv-cache-"));

it("computes each sequence once, over runs, whatever the order", async () => {
  const folder = await place();
  const compute = vi.fn((missing: readonly number[]) => missing.map((i) => -i - 0.5));
  const first = await openReferenceCache(folder, identity);
  expect([...(await first.logProbs(sequences, compute))]).toEqual([-0.5, -1.5, -0.5]);
  expect(compute).toHaveBeenCalledExactlyOnceWith([0, 1]);
  const again = await openReferenceCache(folder, { maxLength: 512, template: "plain", model: "m" });
  expect([...(await again.logProbs([sequences[1]!, sequences[0]!], compute))]).toEqual([-1.5, -0.5]);
  expect(compute).toHaveBeenCalledTimes(1);
  expect(again.counts).toEqual({ hits: 2, misses: 0 });
  const other = await openReferenceCache(folder, { ...identity, model: "n" });
  await other.logProbs(sequences, compute);
  expect(compute).toHaveBeenCalledTimes(2);
});

it("tells of a damaged file and computes anew", async () => {
  const folder = await place();
  const cache = await openReferenceCache(folder, identity);
  await cache.logProbs(sequences, (missing) => missing.map(() => -1));
  const [name] = await readdir(folder);
  const bytes = await readFile(join(folder, name!));
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(join(folder, name!), bytes);
  const tell = vi.fn();
  const again = await openReferenceCache(folder, identity, tell);
  expect(tell).toHaveBeenCalledWith(expect.stringMatching(/checksum does not match/));
  expect([...(await again.logProbs([sequences[0]!], () => [-3]))]).toEqual([-3]);
});

it("keeps no NaN and no short answer", async () => {
  const cache = await openReferenceCache(await place(), identity);
  await expect(cache.logProbs(sequences, () => [Number.NaN, 0])).rejects.toThrow(/sequence 0 is NaN/);
  await expect(cache.logProbs(sequences, () => [0])).rejects.toThrow(/1 log-probabilities came for 2/);
});

it("loses nothing that another process added meanwhile", async () => {
  const folder = await place();
  const [one, other] = [
    await openReferenceCache(folder, identity),
    await openReferenceCache(folder, identity),
  ];
  await one.logProbs([sequences[0]!], () => [-1]);
  await other.logProbs([sequences[1]!], () => [-2]);
  const third = await openReferenceCache(folder, identity);
  const never = () => {
    throw new Error("computed");
  };
  expect([...(await third.logProbs(sequences.slice(0, 2), never))]).toEqual([-1, -2]);
});
