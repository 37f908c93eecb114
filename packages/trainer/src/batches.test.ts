import fc from "fast-check";
import { expect, it } from "vitest";
import { microBatches, shuffledBatches } from "./batches.ts";

const lengths = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 40 });

it("keeps every row in exactly one micro-batch and every rectangle within the limit", () => {
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 200 }), (rows, limit) => {
      const groups = microBatches(rows, (length) => length, limit);
      expect(groups.flat().sort()).toEqual([...rows].sort());
      for (const group of groups)
        expect(group.length === 1 || group.length * Math.max(...group) <= limit).toBe(true);
    }),
  );
});

const source = (seed: number) =>
  shuffledBatches({
    rows: Array.from({ length: 10 }, (_, i) => i),
    batchSize: 4,
    seed,
    lengthOf: () => 1,
    collate: (rows) => rows,
  });

it("covers each epoch once, in another order each time, the same for the same seed and in any order of asking", async () => {
  const batches = source(3);
  expect(batches.stepsPerEpoch).toBe(3);
  const epoch = async (s: typeof batches, n: number) =>
    (await Promise.all([0, 1, 2].map((index) => s.batch(n, index)))).flat(2);
  const first = await epoch(batches, 0);
  const second = await epoch(batches, 1);
  expect([...first].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(second).not.toEqual(first);
  const again = source(3);
  expect(await epoch(again, 1)).toEqual(second);
  expect(await epoch(again, 0)).toEqual(first);
  expect(await epoch(source(4), 0)).not.toEqual(first);
});

it("tells every row's place in its batch, the same however the batch is split", async () => {
  const placed = (microBatchLength: number) =>
    shuffledBatches({
      rows: [3, 1, 4, 1, 5, 9, 2, 6, 5, 3],
      batchSize: 4,
      seed: 3,
      lengthOf: (length) => length,
      microBatchLength,
      collate: (rows, { epoch, index, places }) =>
        rows.map((row, i) => ({ row, epoch, index, place: places[i]! })),
    });
  const at = async (limit: number) =>
    (await placed(limit).batch(1, 2)).flat().sort((a, b) => a.place - b.place);
  const whole = await at(1000);
  expect(whole.map(({ place }) => place)).toEqual([0, 1]);
  expect(whole.every(({ epoch, index }) => epoch === 1 && index === 2)).toBe(true);
  expect(await at(1)).toEqual(whole);
});

it("refuses an empty data set", () => {
  expect(() =>
    shuffledBatches({ rows: [], batchSize: 1, seed: 0, lengthOf: () => 1, collate: (r) => r }),
  ).toThrow(/no row/);
});
