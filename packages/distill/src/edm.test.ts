import "@tensorflow/tfjs";
import { random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import {
  edmCoefficients,
  edmDenoiser,
  edmLoss,
  karrasGrid,
  karrasUniformNoise,
  levelOfStep,
  logNormalNoise,
  logUniformNoise,
  ratioNormaliser,
  scheduleUniformNoise,
  stepOfLevel,
} from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const fill = (n: number, value: number) => tf.fill([n], value) as tf.Tensor1D;

describe("EDM", () => {
  it("coefficients and denoiser are the paper's", () => {
    const c = edmCoefficients(2, 0.5);
    expect(c.skip).toBeCloseTo(0.25 / 4.25, 12);
    expect(c.out).toBeCloseTo(1 / Math.sqrt(4.25), 12);
    expect(c.in).toBeCloseTo(1 / Math.sqrt(4.25), 12);
    expect(c.noise).toBeCloseTo(Math.log(2) / 4, 12);
    expect(c.lossWeight).toBeCloseTo(4.25, 12);
    const seen: number[] = [];
    const denoiser = edmDenoiser((input, noise) => {
      seen.push(...input.dataSync(), ...noise.dataSync());
      return tf.mul(10, input);
    }, new Map());
    const x = 3;
    const out = denoiser.denoise(tf.tensor2d([[x]]), fill(1, 2)).dataSync()[0]!;
    expect(seen[0]).toBeCloseTo(c.in * x, 6);
    expect(seen[1]).toBeCloseTo(c.noise, 6);
    expect(out).toBeCloseTo(c.skip * x + c.out * 10 * c.in * x, 5);
  });
  it("the loss weighs the square by λ, so that a fresh network's loss is the same at every level", () => {
    const loss = edmLoss(
      tf.tensor2d([
        [1, 3],
        [0, 0],
      ]),
      tf.tensor2d([
        [0, 1],
        [2, 0],
      ]),
      tf.tensor1d([2, 0.5]),
    );
    expect(loss.dataSync()[0]).toBeCloseTo((4.25 / 1) * 2.5, 4);
    expect(loss.dataSync()[1]).toBeCloseTo((0.5 / 0.0625) * 2, 4);
  });
  it("Karras' grid", () => {
    const grid = karrasGrid(18);
    expect(grid).toHaveLength(19);
    expect([grid[0], grid[17], grid[18]]).toEqual([80, expect.closeTo(0.002, 9), 0]);
    expect(grid[1]).toBeCloseTo((80 ** (1 / 7) + (1 / 17) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7, 9);
    expect(() => karrasGrid(0)).toThrow(/0 steps/);
  });
  it("noise distributions have their laws", () => {
    const mean = (values: Float32Array) => values.reduce((a, b) => a + b, 0) / values.length;
    const logs = logNormalNoise().draw(random(1), 40_000).map(Math.log);
    expect(Math.abs(mean(logs) + 1.2)).toBeLessThan((4 * 1.2) / 200);
    expect(Math.abs(mean(logs.map((x) => (x + 1.2) ** 2)) - 1.44)).toBeLessThan(
      (4 * 1.44 * Math.SQRT2) / 200,
    );
    const roots = karrasUniformNoise()
      .draw(random(2), 40_000)
      .map((s) => s ** (1 / 7));
    expect(Math.abs(mean(roots) - (80 ** (1 / 7) + 0.002 ** (1 / 7)) / 2)).toBeLessThan((4 * 0.42) / 200);
    const even = logUniformNoise().draw(random(3), 40_000).map(Math.log);
    expect(Math.abs(mean(even) - (Math.log(80) + Math.log(0.002)) / 2)).toBeLessThan((4 * 3.06) / 200);
    expect(() => logUniformNoise({ min: 0 })).toThrow(/0 < min < max/);
    const levels = Array.from({ length: 50 }, (_, t) => 0.1 * 1.1 ** (t ** 1.2));
    const steps = scheduleUniformNoise(levels, { from: 1, to: 48.5 }).draw(random(4), 40_000);
    const found = steps.map((sigma) => stepOfLevel(levels, sigma));
    expect(Math.min(...found)).toBeGreaterThanOrEqual(1 - 1e-4);
    expect(Math.max(...found)).toBeLessThanOrEqual(48.5 + 1e-4);
    expect(found.reduce((sum, t) => sum + t, 0) / 40_000).toBeCloseTo((1 + 48.5) / 2, 0);
    for (const t of [0, 0.3, 17, 48.9, 49])
      expect(stepOfLevel(levels, levelOfStep(levels, t))).toBeCloseTo(t, 9);
    expect([stepOfLevel(levels, 0.01), stepOfLevel(levels, 1e9)]).toEqual([0, 49]);
    expect(() => scheduleUniformNoise(levels, { to: 50 })).toThrow(/within a schedule from 0 to 49/);
    expect(() => scheduleUniformNoise([1, 2, 2])).toThrow(/level 2 is 2; they must be positive and rise/);
    // Bins of equal width in steps.
    const normaliser = ratioNormaliser({
      bins: 7,
      range: [levels[0]!, levels[49]!],
      scale: (sigma) => stepOfLevel(levels, sigma),
    });
    expect(Array.from(normaliser.binOf(levels))).toEqual(
      levels.map((_, t) => Math.min(6, Math.floor(t / 7 + 1e-9))),
    );
    expect(() => ratioNormaliser({ scale: (sigma) => -sigma })).toThrow(/must rise/);
  });
});
