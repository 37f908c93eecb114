import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { dequantize } from "./dequantize.ts";
import { tensorTypes } from "./tensor-types.ts";

interface Case {
  type: string;
  bytes: string;
  floats: number[];
}
const cases: Case[] = JSON.parse(
  readFileSync(new URL("../golden/gguf-blocks.json", import.meta.url), "utf8"),
);

it.each(cases)("reads $type as the gguf package does", ({ type, bytes, floats }) => {
  const layout = [...tensorTypes.values()].find(({ name }) => name === type)!;
  const got = dequantize(Uint8Array.from(Buffer.from(bytes, "base64")), layout);
  expect(got.length).toBe(floats.length);
  const worst = floats.reduce(
    (most, x, i) => Math.max(most, Math.abs(got[i]! - x) / Math.max(Math.abs(x), 1e-3)),
    0,
  );
  expect(worst).toBeLessThan(2e-6);
});

it("covers every type that can be read", () => {
  expect(cases.map(({ type }) => type).sort()).toEqual(
    [...tensorTypes.values()].map(({ name }) => name).sort(),
  );
});

it("refuses a piece of a block", () => {
  expect(() => dequantize(new Uint8Array(17), { name: "Q4_0", block: 32, bytes: 18 })).toThrow(
    /no whole number of Q4_0 blocks/,
  );
});
