import { describe, expect, it } from "vitest";
import { seedBuckets } from "./seed-curves.ts";

const run = (length: number, y: (x: number) => number) =>
  Array.from({ length }, (_, i) => ({ series: "a", x: i + 1, y: y(i + 1) }));

describe("the curve of several seeds", () => {
  it("is their mean between the lowest and the highest, step by step where there are few", () => {
    const short = [run(3, (x) => x), run(3, (x) => x + 1), run(2, (x) => x + 5)];
    expect(seedBuckets("a", short)).toEqual([
      { series: "a", x: 1, y: 3, low: 1, high: 6 },
      { series: "a", x: 2, y: 4, low: 2, high: 7 },
      { series: "a", x: 3, y: 3.5, low: 3, high: 4 },
    ]);
  });

  it("is averaged over a stretch of steps first where there are many, so that bands show seeds and not batches", () => {
    const noisy = [run(1000, (x) => (x % 2 === 0 ? 1 : -1)), run(1000, (x) => (x % 2 === 0 ? 3 : 1))];
    const buckets = seedBuckets("a", noisy);
    expect(buckets).toHaveLength(100);
    for (const { y, low, high } of buckets) expect([y, low, high]).toEqual([1, 0, 2]);
    expect(buckets[0]!.x).toBe(5.5);
  });

  it("passes over what is not finite", () => {
    const broken = run(3, (x) => (x === 2 ? Number.NaN : x));
    expect(seedBuckets("a", [broken, []]).map(({ x }) => x)).toEqual([1, 3]);
    expect(seedBuckets("a", [])).toEqual([]);
  });
});
