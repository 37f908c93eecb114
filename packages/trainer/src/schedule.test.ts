import { expect, it } from "vitest";
import { schedule } from "./schedule.ts";

const at = (options: Parameters<typeof schedule>[0], ...steps: number[]) => steps.map(schedule(options));

it("warms up linearly without a first step at zero", () => {
  expect(at({ kind: "constant", steps: 100, warmup: 4 }, 0, 1, 3, 4, 99)).toEqual([0.2, 0.4, 0.8, 1, 1]);
  expect(at({ kind: "constant", steps: 100, warmup: 0.04 }, 0)).toEqual([0.2]);
});

it("falls as its name says", () => {
  expect(at({ kind: "linear", steps: 10 }, 0, 5, 10, 12)).toEqual([1, 0.5, 0, 0]);
  const cosine = at({ kind: "cosine", steps: 10, floor: 0.1 }, 0, 5, 10);
  expect(cosine[0]).toBeCloseTo(1, 12);
  expect(cosine[1]).toBeCloseTo(0.55, 12);
  expect(cosine[2]).toBeCloseTo(0.1, 12);
  expect(at({ kind: "inverse-sqrt", steps: 100, warmup: 4 }, 4, 16, 64)).toEqual([1, 0.5, 0.25]);
  expect(at({ kind: "wsd", steps: 100 }, 0, 79, 90, 100)).toEqual([1, 1, 0.5, 0]);
});

it("refuses what is no schedule", () => {
  expect(() => schedule({ kind: "linear", steps: 0 })).toThrow(RangeError);
  expect(() => schedule({ kind: "linear", steps: 1, warmup: -1 })).toThrow(RangeError);
});
