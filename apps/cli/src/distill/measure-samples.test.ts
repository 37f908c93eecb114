import { frechetDistance, neighbourCoverage } from "@fdiv/metrics";
import { random } from "@fdiv/tensor-core";
import { expect, it } from "vitest";
import type { DistillData, Examples } from "./distill-data.ts";
import { measureSamples, yardstickOf } from "./measure-samples.ts";

const dimensions = 3;
const examples = (seed: number, shift: number): Examples => ({
  values: Float32Array.from(random(seed).normal(40 * dimensions), (z) => z + shift),
  count: 40,
  labels: undefined,
});

it("measures real examples once for all samples that are held against them, and alike", async () => {
  const real = examples(1, 0);
  let [asked, heard] = [0, 0];
  const extractor = {
    name: "coordinates",
    features(some: Examples) {
      if (some === real) asked++;
      return { values: some.values, count: some.count, dimensions };
    },
  };
  const yardstick = yardstickOf({
    real,
    extractors: [extractor],
    classifier: undefined,
    data: { mixture: undefined } as DistillData,
    plan: { samples: 40, neighbours: 3, divergences: [], sigma: undefined },
  });
  expect(asked).toBe(0);
  for (const samples of [examples(2, 0.5), examples(3, 0)]) {
    const { figures } = await measureSamples("some", samples, yardstick, undefined, async () => {
      heard++;
    });
    const [a, b] = [real, samples].map(({ values, count }) => ({ values, count, dimensions }));
    const { value, floor } = frechetDistance(a!, b!);
    const { precision, recall, density, coverage } = neighbourCoverage(a!, b!, { k: 3 });
    expect(figures).toEqual({
      "Fréchet (coordinates)": value,
      "Fréchet floor of halves (coordinates)": floor,
      "precision (coordinates)": precision,
      "recall (coordinates)": recall,
      "density (coordinates)": density,
      "coverage (coordinates)": coverage,
    });
  }
  expect(asked).toBe(1);
  expect(heard).toBeGreaterThan(2);
});
