import { expect, it } from "vitest";
import { type KdSeedRow, kdTable, summariseSeeds } from "./kd-table.ts";

const range = (value: number) => ({ value, low: value, high: value });
const row = (name: string, seed: number, accuracy: number): KdSeedRow => ({
  name,
  seed,
  distillation: {
    heldOut: { loss: 1 },
    student: { accuracy: range(accuracy) },
    teacher: { accuracy: range(0.9) },
    nearness: { agreement: accuracy, totalVariation: 0.1, forwardKl: 0.2, reverseKl: 0.3 },
  },
});

it("takes means over seeds, and differences seed by seed whatever the order of the rows", () => {
  const rows = [
    row("js", 2, 0.7),
    row("js", 1, 0.6),
    row("sinkhorn", 1, 0.65),
    row("sinkhorn", 2, 0.75),
    row("beta=3", 1, 0.5),
    row("beta=3", 2, 0.8),
  ];
  const [js, sinkhorn, beta] = summariseSeeds(rows, ["js", "sinkhorn", "beta=3"]);
  expect(js!.student.accuracy!.value).toBeCloseTo(0.65, 12);
  // Student's quantile of one degree of freedom times the standard error .05.
  expect(js!.student.accuracy!.high - js!.student.accuracy!.value).toBeCloseTo(12.7062 * 0.05, 3);
  // .05 in either seed: no width, though the means' own intervals are wide.
  expect(js!.behind!.value).toBeCloseTo(0.05, 12);
  expect(js!.behind!.high - js!.behind!.low).toBeCloseTo(0, 9);
  expect(sinkhorn!.behind).toBeUndefined();
  expect(beta!.behind!.value).toBeCloseTo(0.05, 12);
  const lines = kdTable([js!, sinkhorn!, beta!]).split("\n");
  expect(lines).toHaveLength(8);
  expect(lines[4]).toMatch(/^\*teacher\* \| 0\.900/);
  expect(lines[5]).toMatch(/^js \| 0\.650 ± 0\.635 \| 0\.050 ± 0\.000/);
});

it("shows the held-out figures of texts, which have no task", () => {
  const texts = [1, 2, 3].map(
    (seed): KdSeedRow => ({ name: "js", seed, distillation: { heldOut: { loss: seed } } }),
  );
  expect(summariseSeeds(texts, ["js"])[0]!.student.loss!.value).toBe(2);
  // One seed has no interval, so its figure stands alone.
  expect(kdTable(summariseSeeds(texts.slice(0, 1), ["js"]))).toMatch(/js \| 1\.000 \|/);
});
