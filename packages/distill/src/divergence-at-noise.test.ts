import "@tensorflow/tfjs";
import { alpha, divergence, forwardKl, jensenShannon, reverseKl } from "@fdiv/divergences";
import { random } from "@fdiv/tensor-core";
import { describe, expect, it } from "vitest";
import { divergenceAtNoise, gaussian, gaussianMixture } from "./index.ts";

describe("D_f between samples and a mixture at a noise level", () => {
  it("of one sample is that of two Gaussians", () => {
    // q = N(1, σ²) and p = N(0, v + σ²) with σ² = ¼ and v = ¾: KL(q‖p) = ½(σ² + 1 − 1 − ln σ²), KL(p‖q) = ½((1 + 1)/σ² − 1 + ln σ²).
    const [teacher, sigma] = [gaussian([0], 0.75), 0.5];
    expect(divergenceAtNoise(reverseKl, [[1]], teacher, { sigma })).toBeCloseTo(
      0.5 * (0.25 + Math.log(4)),
      6,
    );
    expect(divergenceAtNoise(forwardKl, [[1]], teacher, { sigma })).toBeCloseTo(
      0.5 * (8 - 1 - Math.log(4)),
      6,
    );
  });
  it("in two dimensions, equal variances: (e^{α(α−1)μ²/2} − 1)/(α(α−1))", () => {
    const a = 0.3;
    const sigma = 0.8;
    // The teacher's own variance is all but nothing, so both are N(·, σ²), √2 apart.
    const found = divergenceAtNoise(alpha(a), [[1, 1]], gaussian([0, 0], 1e-12), { sigma });
    const exact = (Math.exp((a * (a - 1) * 2) / (2 * sigma ** 2)) - 1) / (a * (a - 1));
    expect(Math.abs(found / exact - 1)).toBeLessThan(1e-6);
    const js = divergenceAtNoise(jensenShannon, [[1 * sigma]], gaussian([0], 1e-12), { sigma });
    expect(js).toBeCloseTo(0.222843, 6);
  });
  it("tells a generator that misses a mode from the teacher's own samples", () => {
    const teacher = gaussianMixture([
      { mean: [-1, 0], covariance: 0.02 },
      { mean: [1, 0], covariance: 0.02 },
    ]);
    const rowsOf = (from: typeof teacher) => {
      const { values } = from.sample(random(2), 300);
      return Array.from({ length: 300 }, (_, i) => [values[2 * i]!, values[2 * i + 1]!]);
    };
    const sigma = 0.2;
    const floor = divergenceAtNoise(jensenShannon, rowsOf(teacher), teacher, { sigma });
    const half = divergenceAtNoise(jensenShannon, rowsOf(gaussian([-1, 0], 0.02)), teacher, { sigma });
    expect(floor).toBeLessThan(0.02);
    // u is 2 on one half and 0 on the other: ½f(2) + ½f(0).
    expect(Math.abs(half - 1.5 * Math.log(4 / 3))).toBeLessThan(0.03);
  });
  it("refuses what it can't integrate", () => {
    const teacher = gaussian([0, 0, 0], 1);
    expect(() => divergenceAtNoise(reverseKl, [[0, 0, 0]], teacher, { sigma: 1 })).toThrow(/3 dimensions/);
    expect(() => divergenceAtNoise(divergence("js"), [], gaussian([0], 1), { sigma: 1 })).toThrow(
      /no samples/,
    );
    expect(() => divergenceAtNoise(reverseKl, [[0, 0]], gaussian([0, 0], 1), { sigma: 1e-3 })).toThrow(
      /grid points/,
    );
    expect(() => divergenceAtNoise(reverseKl, [[Number.NaN]], gaussian([0], 1), { sigma: 1 })).toThrow(
      /sample 0/,
    );
  });
});
