import { expect, it } from "vitest";
import { changedSettings } from "./changed-settings.ts";

it("names what differs by its key, and nothing else", () => {
  const before = { steps: 5, data: { limit: 20, images: "x" }, hidden: [8, 16], seed: 0 };
  const after = {
    seed: 0,
    hidden: [8, 16, 16],
    data: { images: "x", limit: undefined },
    steps: 5,
    ema: false,
  };
  expect(changedSettings(before, after)).toEqual([
    "data.limit was 20, is absent",
    "hidden was [8,16], is [8,16,16]",
    "ema was absent, is false",
  ]);
  expect(changedSettings(before, { ...before })).toEqual([]);
});

it("tells a section that came from one that changed, and cuts what is long", () => {
  expect(changedSettings({ teacher: null }, { teacher: { steps: 1 } })).toEqual([
    'teacher was null, is {"steps":1}',
  ]);
  expect(changedSettings({ text: "a".repeat(100) }, {})[0]).toMatch(/^text was "a{59}…, is absent$/);
});
