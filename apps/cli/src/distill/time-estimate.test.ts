import type { Distillation } from "@fdiv/distill";
import { expect, it, vi } from "vitest";
import { checkConfig } from "../config/config-file.ts";
import { distillSchema } from "./distill-schema.ts";
import { timeEstimate } from "./time-estimate.ts";

const config = (schedule: object) =>
  checkConfig(
    distillSchema,
    { data: { images: "x" }, teacher: { train: { steps: 100 } }, steps: 400, schedule, output: "x" },
    "test",
  );

/** Rows that take so many seconds each by a clock of their own. */
async function* rows<R>(clock: { now: number }, list: readonly (readonly [R, number])[]) {
  for (const [row, seconds] of list) {
    clock.now += 1000 * seconds;
    yield row;
  }
}

function timed(schedule: object, phases: readonly (readonly [string, number])[], training: number[]) {
  const clock = { now: 0 };
  const watch = vi.spyOn(performance, "now").mockImplementation(() => clock.now);
  const distillation = rows(
    clock,
    phases.map(([phase, seconds]) => [{ phase }, seconds] as const),
  ) as unknown as Distillation;
  const trained =
    training.length > 0
      ? rows(
          clock,
          training.map((seconds) => [{}, seconds] as const),
        )
      : undefined;
  return timeEstimate(config(schedule), trained, distillation).finally(() => watch.mockRestore());
}

it("is of the median step of each kind but its first, in the share that the schedule gives it", async () => {
  const critics = [1, 1, 1].map((seconds) => ["critic", seconds / 8] as const);
  const phases = [
    ["critic", 1],
    ...critics,
    ["generator", 2],
    ...critics,
    ["generator", 1 / 4],
    ["critic", 99],
  ] as const;
  // (3 · 1 + 2) / 4 of an eighth of a second, 400 times; half a second 100 times.
  expect(await timed({ generatorEvery: 4 }, phases, [3, 0.5, 99])).toMatch(
    /^about 50s for the teacher and 1m03s for the distillation, .* measuring comes on top$/,
  );
});

it("is of the first where steps are slow, and of none where a kind does not come in time", async () => {
  const train = { generatorEvery: 2, criticMeanwhile: "train" };
  expect(
    await timed(
      train,
      [
        ["critic", 8],
        ["both", 9],
        ["critic", 99],
      ],
      [],
    ),
  ).toMatch(/^about 56m40s for the dist/);
  expect(
    await timed(
      train,
      [
        ["critic", 31],
        ["both", 1],
      ],
      [],
    ),
  ).toBeUndefined();
});
