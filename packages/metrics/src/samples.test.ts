import { describe, expect, it } from "vitest";
import {
  classHistogram,
  featureSet,
  frechetDistance,
  gaussianFrechetDistance,
  gaussianMoments,
  modeCoverage,
  neighbourCoverage,
} from "./index.ts";
import { splitMix } from "./split-mix.ts";

/** Normal draws. */
function normal(count: number, d: number, seed: number, shift = 0, scale = 1) {
  const next = splitMix(seed);
  return featureSet(
    Array.from({ length: count }, () =>
      Array.from(
        { length: d },
        () => shift + scale * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
      ),
    ),
  );
}

describe("Fréchet distance", () => {
  it("of N(0, I) and N((1, 2), diag(4, 9)) is 10", () => {
    const value = gaussianFrechetDistance(
      { mean: [0, 0], covariance: [1, 0, 0, 1] },
      { mean: [1, 2], covariance: [4, 0, 0, 9] },
    );
    expect(value).toBeCloseTo(10, 12);
  });
  it("of covariances that do not commute: SciPy's sqrtm", () => {
    // tr(A + B − 2·sqrtm(A·B)); for 2 × 2 matrices tr √M = √(tr M + 2√det M).
    const [a, b] = [
      [2, 0.7, 0.7, 1],
      [1, -0.4, -0.4, 3],
    ];
    const trace = a[0]! * b[0]! + a[1]! * b[2]! + a[2]! * b[1]! + a[3]! * b[3]!;
    const det = (a[0]! * a[3]! - a[1]! * a[2]!) * (b[0]! * b[3]! - b[1]! * b[2]!);
    const exact = 3 + 4 - 2 * Math.sqrt(trace + 2 * Math.sqrt(det));
    const found = gaussianFrechetDistance({ mean: [5, 5], covariance: a }, { mean: [5, 5], covariance: b });
    expect(found).toBeCloseTo(exact, 12);
  });
  it("is 0 of a law and itself, singular ones too", () => {
    const same = { mean: [1, 2, 3], covariance: [1, 1, 0, 1, 1, 0, 0, 0, 0] };
    expect(gaussianFrechetDistance(same, same)).toBeLessThan(1e-7);
  });
  it("of samples comes with counts and the floor", () => {
    const real = normal(2000, 3, 1);
    const found = frechetDistance(real, normal(1500, 3, 2, 1, 2));
    expect(found.samples).toEqual({ real: 2000, generated: 1500 });
    // ‖1‖²·3 + 3·(1 − 2)²
    expect(Math.abs(found.value - 6)).toBeLessThan(0.6);
    expect(found.floor).toBeLessThan(0.03);
    expect(frechetDistance(real, real).value).toBeLessThan(1e-6);
    expect(() => frechetDistance(real, normal(10, 2, 1))).toThrow(/3 and 2 dimensions/);
    expect(() =>
      frechetDistance(
        real,
        featureSet([
          [1, 2, Number.NaN],
          [0, 0, 0],
        ]),
      ),
    ).toThrow(/sample 0 .* NaN/);
  });
  it("moments are the unbiased ones", () => {
    const { mean, covariance } = gaussianMoments(
      featureSet([
        [1, 2],
        [3, 6],
        [5, 1],
      ]),
    );
    expect(Array.from(mean)).toEqual([expect.closeTo(3, 12), expect.closeTo(3, 12)]);
    expect(Array.from(covariance)).toEqual([4, -1, -1, 7].map((x) => expect.closeTo(x, 12)));
  });
});

describe("precision, recall, density and coverage", () => {
  it("by hand on a line, k = 1", () => {
    const real = featureSet([[0], [1], [10], [11]]);
    const found = neighbourCoverage(real, featureSet([[0.5], [5], [30]]), { k: 1 });
    // Real balls have radius 1: .5 lies in those of 0 and 1; 5 and 30 in none. Generated radii are 4.5, 4.5 and 25.
    expect(found).toMatchObject({
      precision: 1 / 3,
      recall: 3 / 4 + 1 / 4,
      density: 2 / 3,
      coverage: 0.5,
      k: 1,
    });
  });
  it("a generator of one of two modes is precise and misses half", () => {
    const real = featureSet(Array.from({ length: 400 }, (_, i) => [(i % 2) * 20 + ((i * 7919) % 400) / 400]));
    const half = featureSet(Array.from({ length: 300 }, (_, i) => [((i * 104_729) % 300) / 300]));
    const found = neighbourCoverage(real, half);
    expect(found.precision).toBeGreaterThan(0.95);
    expect(found.recall).toBeLessThan(0.55);
    expect(found.coverage).toBeLessThan(0.55);
    expect(found.floor.recall).toBeGreaterThan(0.9);
  });
  it("equal laws have a density near 1 and score like the floor", () => {
    const found = neighbourCoverage(normal(600, 2, 3), normal(300, 2, 4));
    expect(Math.abs(found.density - 1)).toBeLessThan(0.15);
    expect(Math.abs(found.precision - found.floor.precision)).toBeLessThan(0.06);
    expect(() => neighbourCoverage(normal(8, 2, 1), normal(9, 2, 1))).toThrow(/12 or more/);
  });
});

describe("classes and modes", () => {
  it("the histogram's KL and what is covered", () => {
    const found = classHistogram([0, 0, 0, 1], [1, 1, 2]);
    expect(found).toMatchObject({ counts: [3, 1, 0], covered: 2, samples: 4 });
    expect(found.divergence).toBeCloseTo(0.75 * Math.log(3) + 0.25 * Math.log(1), 12);
    expect(classHistogram([0], [0, 1]).divergence).toBe(Number.POSITIVE_INFINITY);
    expect(() => classHistogram([3], [1, 1])).toThrow(/class 3 of 2/);
  });
  it("mode shares, mass off the modes, KL to the weights", () => {
    const modes = [
      { mean: [0, 0], deviation: 0.1, weight: 1 },
      { mean: [3, 0], deviation: 0.5, weight: 3 },
    ];
    const found = modeCoverage(
      featureSet([
        [0.1, 0],
        [0, 0.3],
        [3, 1],
        [1, 0.5],
      ]),
      modes,
    );
    // The last is 10 deviations from the first and 4.1 from the second.
    expect(found).toMatchObject({ shares: [0.5, 0.25], off: 0.25, covered: 2, samples: 4 });
    expect(found.divergence).toBeCloseTo((2 / 3) * Math.log(8 / 3) + (1 / 3) * Math.log(4 / 9), 12);
    expect(() => modeCoverage(featureSet([[0]]), modes)).toThrow(/2 coordinates/);
  });
});
