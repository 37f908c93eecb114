import { expect, it } from "vitest";
import { bfloat16ToFloat, floatToBfloat16, floatToHalf, halfToFloat } from "./half.ts";

const every = Uint16Array.from({ length: 65536 }, (_, i) => i);

it("takes every half-precision and bfloat16 number there and back", () => {
  for (const [widen, narrow, isNotANumber] of [
    [halfToFloat, floatToHalf, (h: number) => (h & 0x7c00) === 0x7c00 && (h & 0x3ff) !== 0],
    [bfloat16ToFloat, floatToBfloat16, (h: number) => (h & 0x7f80) === 0x7f80 && (h & 0x7f) !== 0],
  ] as const) {
    const wide = widen(every);
    const back = narrow(wide);
    for (let h = 0; h < 65536; h++)
      if (isNotANumber(h)) expect(Number.isNaN(widen(back.subarray(h, h + 1))[0])).toBe(true);
      else if (back[h] !== h) throw new Error(`${h} became ${back[h]}`);
  }
});

it("rounds to nearest, ties to even, and overflows to infinity", () => {
  const half = (x: number) => halfToFloat(floatToHalf(Float32Array.of(x)))[0];
  expect(half(1 + 2 ** -11)).toBe(1);
  expect(half(1 + 3 * 2 ** -11)).toBe(1 + 2 ** -9);
  expect(half(65519)).toBe(65504);
  expect(half(65520)).toBe(Number.POSITIVE_INFINITY);
  expect(half(-(2 ** -25))).toBe(-0);
  expect(half(1.5 * 2 ** -25)).toBe(2 ** -24);
  expect(half(2047.9999)).toBe(2048);
  const brain = (x: number) => bfloat16ToFloat(floatToBfloat16(Float32Array.of(x)))[0];
  expect(brain(1 + 2 ** -8)).toBe(1);
  expect(brain(1 + 3 * 2 ** -8)).toBe(1 + 2 ** -6);
  expect(brain(3.4e38)).toBe(Number.POSITIVE_INFINITY);
});
