import "@tensorflow/tfjs";
import { random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import {
  classifierFreeGuidance,
  dropLabels,
  gaussian,
  gaussianMixture,
  karrasGrid,
  oneStepGenerator,
  type SamplerKind,
  sample,
} from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

describe("samplers", () => {
  // The flow of N(m, v) is known: x(σ) = m + (x(σ₀) − m)·√((v + σ²)/(v + σ₀²)).
  const [m, v] = [0.5, 0.25];
  const teacher = gaussian([m], v);
  const start = tf.tidy(() => tf.tensor2d([[60], [-30], [5]]));
  async function error(sampler: SamplerKind, steps: number): Promise<number> {
    const sigmas = karrasGrid(steps, { min: 0.05, max: 40 }).slice(0, -1);
    const x = await sample(teacher, [3, 1], { sigmas, sampler, start });
    const factor = Math.sqrt((v + 0.05 ** 2) / (v + 40 ** 2));
    return Math.max(
      ...Array.from(x.dataSync(), (found, i) => Math.abs(found - (m + ([60, -30, 5][i]! - m) * factor))),
    );
  }
  it("Euler converges with order 1, Heun with order 2", async () => {
    const order = async (sampler: SamplerKind, n: number) =>
      Math.log2((await error(sampler, n + 1)) / (await error(sampler, 2 * n + 1)));
    expect(await order("euler", 40)).toBeGreaterThan(0.85);
    expect(await order("euler", 40)).toBeLessThan(1.15);
    expect(await order("heun", 40)).toBeGreaterThan(1.8);
    expect(await order("heun", 40)).toBeLessThan(2.2);
  });
  it.each(["heun", "euler", "ancestral"] as const)("%s reaches the known law", async (sampler) => {
    const count = 4000;
    const steps = sampler === "heun" ? 24 : 120;
    const x = await sample(teacher, [count, 1], { sigmas: karrasGrid(steps), sampler, seed: 3 });
    const values = Array.from(x.dataSync());
    const mean = values.reduce((a, b) => a + b, 0) / count;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / count;
    expect(Math.abs(mean - m)).toBeLessThan(4 * Math.sqrt(v / count) + 0.01);
    expect(Math.abs(variance / v - 1)).toBeLessThan(4 * Math.sqrt(2 / count) + 0.03);
  });
  it("tells its progress, keeps to its seed, and leaks nothing", async () => {
    const before = tf.memory().numTensors;
    const seen: number[] = [];
    const options = { sigmas: karrasGrid(6), sampler: "ancestral" as const };
    const one = await sample(teacher, [5, 1], {
      ...options,
      seed: 1,
      onStep: ({ step, steps, x, denoised }) => {
        seen.push(step / steps, x.size, denoised.size);
      },
    });
    const [same, other] = [
      await sample(teacher, [5, 1], { ...options, seed: 1 }),
      await sample(teacher, [5, 1], { ...options, seed: 2 }),
    ];
    expect(seen.filter((_, i) => i % 3 === 0)).toEqual([1 / 6, 2 / 6, 0.5, 4 / 6, 5 / 6, 1]);
    expect(Array.from(same.dataSync())).toEqual(Array.from(one.dataSync()));
    expect(Array.from(other.dataSync())).not.toEqual(Array.from(one.dataSync()));
    tf.dispose([one, same, other]);
    expect(tf.memory().numTensors).toBe(before);
  });
  it("refuses levels that rise and unknown samplers", async () => {
    await expect(sample(teacher, [1, 1], { sigmas: [1, 2] })).rejects.toThrow(/must fall/);
    await expect(sample(teacher, [1, 1], { sigmas: [1, 0], sampler: "rk4" as never })).rejects.toThrow(
      /no sampler "rk4"/,
    );
  });
  it("a one-step generator is D(σ_max·z; σ_max)", () => {
    const generator = oneStepGenerator({ ...teacher, parameters: new Map() }, { sigmaMax: 2 });
    const found = generator.generate(tf.tensor2d([[1.5]])).dataSync()[0];
    expect(found).toBeCloseTo((4 * m + v * 3) / (v + 4), 6);
  });
});

describe("guidance", () => {
  const mixture = gaussianMixture([
    { mean: [-1], covariance: 0.2 },
    { mean: [1], covariance: 0.2 },
  ]);
  it("is D + (s − 1)(D − D₀), inside its interval", () => {
    const x = tf.tensor2d([[0.1], [0.1]]);
    const sigma = tf.tensor1d([1, 5]);
    const labels = tf.tensor1d([1, 1], "int32");
    const [with1, without] = [
      mixture.denoise(x, sigma, labels).dataSync(),
      mixture.denoise(x, sigma).dataSync(),
    ];
    const found = classifierFreeGuidance(mixture, { scale: 3, interval: [0.5, 2] })
      .denoise(x, sigma, labels)
      .dataSync();
    expect(found[0]).toBeCloseTo(with1[0]! + 2 * (with1[0]! - without[0]!), 5);
    expect(found[1]).toBeCloseTo(with1[1]!, 5);
    expect(() => classifierFreeGuidance(mixture, { scale: 2 }).denoise(x, sigma)).toThrow(/no condition/);
  });
  it("drops the share of labels that it is told", () => {
    const dropped = dropLabels(new Array(10_000).fill(3), 0.2, random(1)).filter(
      (label) => label === -1,
    ).length;
    expect(Math.abs(dropped - 2000)).toBeLessThan(4 * 40);
  });
});
