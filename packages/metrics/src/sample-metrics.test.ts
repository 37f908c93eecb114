import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  type FeatureSet,
  frechetDistance,
  frechetDistanceTo,
  gaussianFrechetDistance,
  gaussianMoments,
  neighbourCoverage,
  neighbourCoverageOf,
} from "./index.ts";
import { nuclearNorm } from "./nuclear-norm.ts";

interface Case {
  dimensions: number;
  real: number;
  generated: number;
  /** By SciPy's square root of matrices. */
  sqrtm: number;
  /** By singular values of the samples. */
  frechet: number;
  floor: number;
  neighbours: { precision: number; recall: number; density: number; coverage: number };
}

const cases: Case[] = JSON.parse(
  readFileSync(new URL("golden/sample-metrics.json", import.meta.url), "utf8"),
);

/** The oracle's features: u_ij·2^(−j/64) + u_i0·(j mod 5 − 2), times `scale` and plus `shift`. */
function features(count: number, dimensions: number, seed: number, scale = 1, shift = 0): FeatureSet {
  let state = seed;
  const values = new Float64Array(count * dimensions);
  for (let i = 0; i < count; i++) {
    let first = 0;
    for (let j = 0; j < dimensions; j++) {
      // The product has up to 61 bits.
      state = Number((BigInt(state) * 1_103_515_245n + 12_345n) % 2_147_483_648n);
      const u = state / 2_147_483_648 - 0.5;
      if (j === 0) first = u;
      values[i * dimensions + j] = (u * 2 ** (-j / 64) + first * ((j % 5) - 2)) * scale + shift;
    }
  }
  return { values, count, dimensions };
}

describe("measures of samples are SciPy's", () => {
  it.each(cases)("$real real and $generated generated samples of $dimensions dimensions", (expected) => {
    const real = features(expected.real, expected.dimensions, 1);
    const generated = features(expected.generated, expected.dimensions, 2, 1.1, 0.05);
    const { value, floor } = frechetDistance(real, generated);
    expect(Math.abs(value / expected.frechet - 1)).toBeLessThan(1e-10);
    expect(Math.abs(floor / expected.floor - 1)).toBeLessThan(1e-10);
    const moments = gaussianFrechetDistance(gaussianMoments(real), gaussianMoments(generated));
    // Covariances hold the directions that samples hardly fill to the root of rounding alone.
    expect(Math.abs(moments / expected.sqrtm - 1)).toBeLessThan(1e-6);
    const { precision, recall, density, coverage } = neighbourCoverage(real, generated);
    for (const [name, found] of Object.entries({ precision, recall, density, coverage }))
      expect(found, name).toBeCloseTo(expected.neighbours[name as "recall"], 12);
  });

  it("a prepared real side gives each generator the same as alone", () => {
    const real = features(120, 9, 1);
    const [distance, scores] = [frechetDistanceTo(real), neighbourCoverageOf(real, { k: 3 })];
    for (const seed of [2, 3]) {
      const generated = features(80, 9, seed);
      expect(distance(generated)).toEqual(frechetDistance(real, generated));
      expect(scores(generated)).toEqual(neighbourCoverage(real, generated, { k: 3 }));
    }
    expect(() => distance(features(80, 8, 2))).toThrow(/9 and 8 dimensions/);
    expect(() => neighbourCoverageOf(real, { k: 60 })).toThrow(/122 or more/);
  });

  it("equal samples lie on each other's balls, whatever their features' scale", () => {
    const real = features(70, 5, 1, 1e-3, 1e6);
    // Each sample twice: the first neighbour is at distance 0 exactly.
    const twice: FeatureSet = {
      ...real,
      count: 140,
      values: Float64Array.from([...Array.from(real.values), ...Array.from(real.values)]),
    };
    expect(neighbourCoverage(twice, twice, { k: 1 })).toMatchObject({ precision: 1, recall: 1, density: 2 });
  });

  it("refuses sizes that would take hours, and says what helps", () => {
    const vast: FeatureSet = { values: new Uint8Array(9000 * 9000), count: 9000, dimensions: 9000 };
    expect(() => frechetDistanceTo(vast)).toThrow(/fewer dimensions, or at most 8192 samples/);
  });
});

describe("the nuclear norm", () => {
  it("of matrices whose singular values are known, square or not, singular or 0", () => {
    const rotated = [3, 0, 0, 0, 0, -4];
    expect(nuclearNorm(Float64Array.from(rotated), 3, 2)).toBeCloseTo(7, 12);
    expect(nuclearNorm(Float64Array.from(rotated), 2, 3)).toBeCloseTo(7, 12);
    expect(nuclearNorm(new Float64Array(6), 2, 3)).toBe(0);
    expect(nuclearNorm(Float64Array.of(1e-200), 1, 1)).toBe(1e-200);
    // x·yᵀ has the one singular value ‖x‖·‖y‖.
    const outer = Float64Array.from({ length: 35 }, (_, i) => ((i % 7) + 1) * (Math.floor(i / 7) - 2));
    expect(nuclearNorm(outer, 5, 7)).toBeCloseTo(Math.sqrt(140) * Math.sqrt(10), 12);
    // The second difference's singular values: 2 − 2·cos(πk/(n + 1)), which add up to its trace.
    const n = 50;
    const differences = new Float64Array(n * n);
    for (let i = 0; i < n; i++)
      for (const [j, x] of [
        [i - 1, -1],
        [i, 2],
        [i + 1, -1],
      ] as const)
        if (j >= 0 && j < n) differences[i * n + j] = x;
    expect(nuclearNorm(differences, n, n)).toBeCloseTo(2 * n, 10);
  });
});
