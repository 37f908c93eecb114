import fc from "fast-check";
import { expect, it } from "vitest";
import { boxMuller, exactCircle, exactLog } from "./box-muller.ts";
import { philox, random, restoreRandom } from "./random.ts";

const hex = (words: readonly number[]) => words.map((word) => word.toString(16).padStart(8, "0")).join(" ");

it("gives Philox4x32-10's published known answers", () => {
  const f = 0xffffffff;
  expect(hex(philox([0, 0, 0, 0], [0, 0]))).toBe("6627e8d5 e169c58d bc57ac4c 9b00dbd8");
  expect(hex(philox([f, f, f, f], [f, f]))).toBe("408f276d 41c83b0e a20bc7c6 6d5451fd");
  expect(hex(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]))).toBe(
    "d16cfe09 94fdcceb 5001e420 24126ea1",
  );
});

it("is a function of the seed, and continues from a saved state at any point", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 0, max: 30 }), (seed, drawn) => {
      const one = random(seed);
      one.uint32(drawn);
      const saved = JSON.parse(JSON.stringify(one.state()));
      expect(restoreRandom(saved).uint32(9)).toEqual(one.uint32(9));
    }),
  );
  expect(random("a").uint32(4)).not.toEqual(random("b").uint32(4));
  expect(random(1).uint32(4)).not.toEqual(random("1").uint32(4));
});

it("gives many words at once as one by one, wherever it stands", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 40 }), (before, count) => {
      const [many, single] = [random(7), random(7)];
      many.uint32(before);
      single.uint32(before);
      const words = Array.from({ length: count }, () => single.uint32(1)[0]!);
      expect([...many.uint32(count)]).toEqual(words);
      expect(many.next()).toBe(single.next());
    }),
  );
  const far = { key: [1, 2] as [number, number], counter: 2 ** 32 - 1, used: 4 };
  expect([...restoreRandom(far).uint32(8)]).toEqual([
    ...philox([2 ** 32 - 1, 0, 0, 0], [1, 2]),
    ...philox([0, 1, 0, 0], [1, 2]),
  ]);
});

it("forks streams that depend on the label alone, not on what was drawn", () => {
  const parent = random(5);
  const before = parent.fork("x").uint32(4);
  parent.uint32(7);
  expect(parent.fork("x").uint32(4)).toEqual(before);
  expect(parent.fork("y").uint32(4)).not.toEqual(before);
  expect(parent.fork(0).uint32(4)).not.toEqual(parent.fork(1).uint32(4));
});

it("has the moments of its laws", () => {
  const mean = (x: ArrayLike<number>) => Array.from(x).reduce((a, b) => a + b, 0) / x.length;
  const uniform = random(1).uniform(100_000);
  expect(Math.min(...uniform.subarray(0, 5e4))).toBeGreaterThanOrEqual(0);
  expect(mean(uniform)).toBeCloseTo(0.5, 2);
  const normal = random(2).normal(100_001);
  expect(mean(normal)).toBeCloseTo(0, 1);
  expect(mean(normal.map((x) => x * x))).toBeCloseTo(1, 1);
  expect(mean(normal.map((x) => x ** 4))).toBeCloseTo(3, 0);
  const counts = new Array(6).fill(0);
  const die = random(3);
  for (let i = 0; i < 60_000; i++) counts[die.integer(6)]++;
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
});

it("permutes, and refuses what is no count or seed", () => {
  expect([...random(4).permutation(50)].sort((a, b) => a - b)).toEqual([...Array(50).keys()]);
  expect(() => random(0.5)).toThrow(RangeError);
  expect(() => random(1).integer(0)).toThrow(RangeError);
  expect(() => random(1).uniform(-1)).toThrow(RangeError);
});

it("has logarithms and circles of its own that are right to an ulp or two", () => {
  const draw = random("circle");
  for (let i = 0; i < 20_000; i++) {
    const t = draw.next();
    const x = i % 2 ? 1 - t * 2 ** -(i % 50) : t + 2 ** -53;
    expect(Math.abs(exactLog(x) - Math.log(x))).toBeLessThanOrEqual(3e-16 * Math.abs(Math.log(x)));
    const [cos, sin] = exactCircle(t);
    expect(Math.abs(cos - Math.cos(2 * Math.PI * t))).toBeLessThan(1e-15);
    expect(Math.abs(sin - Math.sin(2 * Math.PI * t))).toBeLessThan(1e-15);
  }
  expect(exactLog(1)).toBe(0);
  expect([0, 0.25, 0.5, 0.75].map((t) => exactCircle(t))).toEqual([
    [1, 0],
    [-0, 1],
    [-1, -0],
    [0, -1],
  ]);
  expect(boxMuller(0, 0.3).every((value) => value === 0)).toBe(true);
  expect(boxMuller(1 - 2 ** -53, 0)[0]).toBeCloseTo(Math.sqrt(106 * Math.LN2), 12);
});

it("draws the same normals in every engine", () => {
  const words = new Uint32Array(random("pinned").normal(10_000).buffer);
  expect(words.reduce((hash, word) => Math.imul(hash ^ word, 0x01000193) >>> 0, 0x811c9dc5)).toBe(1211091665);
});
