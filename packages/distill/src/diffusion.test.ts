import "@tensorflow/tfjs";
import { random, valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import {
  approximateGradientPenalty,
  classifierFreeGuidance,
  dropLabels,
  edmCoefficients,
  edmDenoiser,
  edmLoss,
  ema,
  exactGradientPenalty,
  gaussian,
  gaussianMixture,
  karrasGrid,
  karrasUniformNoise,
  levelOfStep,
  logNormalNoise,
  logUniformNoise,
  oneStepGenerator,
  powerExponent,
  ratioNormaliser,
  type SamplerKind,
  sample,
  scheduleUniformNoise,
  scoreOf,
  stepOfLevel,
  trainDenoiser,
  updateSchedule,
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

describe("Gaussian teachers", () => {
  it("one Gaussian: D = (σ²m + v·x)/(v + σ²)", () => {
    const [m, v, sigma, x] = [0.7, 2, 1.5, -1.2];
    const found = gaussian([m], v)
      .denoise(tf.tensor2d([[x]]), fill(1, sigma))
      .dataSync()[0]!;
    expect(found).toBeCloseTo((sigma ** 2 * m + v * x) / (v + sigma ** 2), 6);
  });
  const mixture = gaussianMixture([
    {
      weight: 1,
      mean: [1, -1],
      covariance: [
        [1, 0.6],
        [0.6, 0.5],
      ],
    },
    { weight: 3, mean: [-2, 0.5], covariance: [0.3, 2] },
    { weight: 2, mean: [0, 3], covariance: 0.4 },
  ]);
  it("full covariances: the density by hand, tensors like float64", () => {
    const [x, sigma] = [[0.3, -0.2], 0.5];
    const byHand = mixture.components
      .map(({ weight, mean, covariance: c }) => {
        const [a, b, d] = [c[0]![0]! + sigma ** 2, c[0]![1]!, c[1]![1]! + sigma ** 2];
        const det = a * d - b * b;
        const [u, w] = [x[0]! - mean[0]!, x[1]! - mean[1]!];
        return (
          (weight * Math.exp(-(d * u * u - 2 * b * u * w + a * w * w) / (2 * det))) /
          (2 * Math.PI * Math.sqrt(det))
        );
      })
      .reduce((sum, p) => sum + p, 0);
    expect(mixture.logDensityAt(x, sigma)).toBeCloseTo(Math.log(byHand), 12);
    expect(mixture.logDensity(tf.tensor2d([x]), fill(1, sigma)).dataSync()[0]).toBeCloseTo(
      Math.log(byHand),
      5,
    );
    expect(mixture.components.map(({ weight }) => weight)).toEqual([1 / 6, 0.5, 1 / 3]);
  });
  it.each([0, 0.1, 2, 40])("the score is the density's gradient and (D − x)/σ², σ = %s", (sigma) => {
    const points = tf.tensor2d([
      [0.3, -0.2],
      [2, 2],
      [-3, 1],
    ]);
    const level = fill(3, sigma);
    const slope = tf
      .grad((x: tf.Tensor) => tf.sum(mixture.logDensity(x, level)))(points)
      .dataSync();
    const score = mixture.score(points, level).dataSync();
    const h = 1e-5;
    points.arraySync().forEach((point, i) => {
      const exact = mixture.scoreAt(point, sigma);
      exact.forEach((s, j) => {
        const moved = (by: number) =>
          mixture.logDensityAt(
            point.map((c, k) => (k === j ? c + by : c)),
            sigma,
          );
        expect(s).toBeCloseTo((moved(h) - moved(-h)) / (2 * h), 6);
        expect(score[2 * i + j]!).toBeCloseTo(s, 4);
        expect(slope[2 * i + j]!).toBeCloseTo(s, 4);
      });
    });
    if (sigma === 0) return;
    const implied = scoreOf(mixture.denoise(points, level), points, level).dataSync();
    implied.forEach((s, k) => {
      expect(s).toBeCloseTo(score[k]!, sigma < 1 ? 2 : 4);
    });
  });
  it("labels single a component out", () => {
    const x = tf.tensor2d([
      [0, 0],
      [0, 0],
    ]);
    const found = mixture.denoise(x, fill(2, 1), tf.tensor1d([2, -1], "int32")).dataSync();
    const alone = gaussian([0, 3], 0.4).denoise(x, fill(2, 1)).dataSync();
    const whole = mixture.denoise(x, fill(2, 1)).dataSync();
    expect([found[0], found[1]]).toEqual([expect.closeTo(alone[0]!, 5), expect.closeTo(alone[1]!, 5)]);
    expect([found[2], found[3]]).toEqual([expect.closeTo(whole[2]!, 5), expect.closeTo(whole[3]!, 5)]);
  });
  it("draws have its mean and covariance", () => {
    const count = 40_000;
    const { values, labels } = gaussianMixture([
      {
        mean: [1, -1],
        covariance: [
          [1, 0.6],
          [0.6, 0.5],
        ],
      },
    ]).sample(random(5), count);
    let [x, y, xy] = [0, 0, 0];
    for (let i = 0; i < count; i++) {
      x += values[2 * i]! / count;
      y += values[2 * i + 1]! / count;
      xy += ((values[2 * i]! - 1) * (values[2 * i + 1]! + 1)) / count;
    }
    expect(Math.abs(x - 1)).toBeLessThan(4 / 200);
    expect(Math.abs(y + 1)).toBeLessThan((4 * Math.SQRT1_2) / 200);
    expect(Math.abs(xy - 0.6)).toBeLessThan((4 * Math.sqrt(0.5 + 0.36)) / 200);
    expect(labels.every((label) => label === 0)).toBe(true);
    const share = mixture.sample(random(6), count).labels.filter((label) => label === 1).length / count;
    expect(Math.abs(share - 0.5)).toBeLessThan((4 * 0.5) / 200);
  });
  it("refuses what is no mixture", () => {
    expect(() =>
      gaussian(
        [0, 0],
        [
          [1, 2],
          [2, 1],
        ],
      ),
    ).toThrow(/eigenvalues/);
    expect(() =>
      gaussian(
        [0, 0],
        [
          [1, 0.2],
          [0.1, 1],
        ],
      ),
    ).toThrow(/symmetric/);
    expect(() => gaussianMixture([])).toThrow(/no component/);
    expect(() => gaussianMixture([{ weight: 0, mean: [1], covariance: 1 }])).toThrow(/weight 0/);
    expect(() => mixture.denoise(tf.zeros([1, 3]), fill(1, 1))).toThrow(/expected \[batch, 2\]/);
  });
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

describe("EMA", () => {
  const variable = () => new Map([["w", tf.variable(tf.scalar(0))]]);
  it("fixed: β·θ̄ + (1 − β)·θ, from the first value on", () => {
    const parameters = variable();
    const average = ema({ kind: "fixed", decay: 0.9, warmUp: false });
    for (const value of [5, 1, 2]) {
      parameters.get("w")!.assign(tf.scalar(value));
      average.update(parameters);
    }
    expect(average.parameters.get("w")!.dataSync()[0]).toBeCloseTo(0.9 * (0.9 * 5 + 0.1) + 0.2, 5);
  });
  it("power: the weights are a power of time, with the width asked for", () => {
    const gamma = powerExponent(0.1);
    expect(gamma).toBeCloseTo(6.94, 2);
    const parameters = variable();
    const average = ema({ kind: "power", width: 0.1 });
    for (let t = 1; t <= 400; t++) {
      parameters.get("w")!.assign(tf.scalar(t / 400));
      average.update(parameters);
    }
    // The mean of a density proportional to tᵞ on [0, 1].
    expect(average.parameters.get("w")!.dataSync()[0]).toBeCloseTo((gamma + 1) / (gamma + 2), 2);
  });
});

describe("R1", () => {
  /** A critic with a known slope: logit = tanh(w·x). */
  function penalties(kind: "exact" | "approximate", w: number[], x: number[][], noise?: tf.Tensor) {
    const parameters = new Map([["w", tf.variable(tf.tensor2d(w, [w.length, 1]))]]);
    const critic = (at: tf.Tensor) =>
      tf.tanh(tf.matMul(at as tf.Tensor2D, parameters.get("w")! as tf.Tensor2D));
    const { value, gradients } = valueAndGradients(() => {
      const at = tf.tensor2d(x);
      const penalty =
        kind === "exact" ? exactGradientPenalty(critic, at) : approximateGradientPenalty(critic, at, noise!);
      return tf.sum(penalty) as tf.Scalar;
    }, parameters);
    return { value: value.dataSync()[0]!, gradient: Array.from(gradients.get("w")!.dataSync()) };
  }
  it("exact: value and gradient on the parameters", () => {
    const [w, x] = [
      [0.6, -0.4],
      [
        [0.3, 0.8],
        [-1, 0.5],
        [0, 0],
      ],
    ];
    const exact = (weights: number[]) =>
      x.reduce((sum, point) => {
        const a = point[0]! * weights[0]! + point[1]! * weights[1]!;
        return sum + (1 - Math.tanh(a) ** 2) ** 2 * (weights[0]! ** 2 + weights[1]! ** 2);
      }, 0);
    const { value, gradient } = penalties("exact", w, x);
    expect(value).toBeCloseTo(exact(w), 5);
    const h = 1e-5;
    w.forEach((_, j) => {
      const moved = (by: number) => exact(w.map((c, k) => (k === j ? c + by : c)));
      expect(gradient[j]!).toBeCloseTo((moved(h) - moved(-h)) / (2 * h), 3);
    });
  });
  it("approximate: δ² times R1 on average", () => {
    const count = 4000;
    const noise = tf.tensor2d(random(4).normal(2 * count), [count, 2]);
    const x = Array.from({ length: count }, () => [0.3, 0.8]);
    const slope = (1 - Math.tanh(0.3 * 0.6 - 0.8 * 0.4) ** 2) ** 2 * (0.36 + 0.16);
    const mean = penalties("approximate", [0.6, -0.4], x, noise).value / count / 1e-4;
    expect(Math.abs(mean / slope - 1)).toBeLessThan(4 * Math.sqrt(2 / count) + 0.01);
  });
});

it("two time scales", () => {
  const five = updateSchedule();
  expect([0, 3, 4, 5, 9].map((i) => five(i).generator)).toEqual([false, false, true, false, true]);
  expect(five(4).critic).toBe(false);
  expect(updateSchedule({ criticMeanwhile: "train" })(4)).toEqual({ generator: true, critic: true });
  expect(() => updateSchedule({ generatorEvery: 1 })).toThrow(/never train/);
});

it("a trained denoiser finds the closed form, and goes on exactly from a snapshot", async () => {
  // D = a·x + b at one noise level; the best is (σ²m + v·x)/(v + σ²).
  const [m, v, sigma] = [0.5, 0.8, 0.7];
  const make = () => {
    const parameters = new Map([
      ["a", tf.variable(tf.scalar(0))],
      ["b", tf.variable(tf.scalar(0))],
    ]);
    const training = trainDenoiser({
      denoiser: {
        parameters,
        denoise: (x) => tf.add(tf.mul(parameters.get("a")!, x), parameters.get("b")!),
      },
      data: (stream, count) => ({
        x: tf.tensor2d(
          stream.normal(count).map((z) => m + Math.sqrt(v) * z),
          [count, 1],
        ),
      }),
      noise: { name: "fixed", draw: (_, count) => new Float32Array(count).fill(sigma) },
      steps: 300,
      batchSize: 256,
      optimizer: { learningRate: 0.02, schedule: (i) => Math.max(0.02, 1 - i / 300) },
      ema: { kind: "fixed", decay: 0.9 },
    });
    return { parameters, training };
  };
  const one = make();
  let snapshot: Awaited<ReturnType<typeof one.training.save>> | undefined;
  for await (const row of one.training) if (row.iteration === 279) snapshot = await one.training.save();
  const read = (from: ReadonlyMap<string, tf.Tensor>) => [...from.values()].map((x) => x.dataSync()[0]!);
  const [a, b] = read(one.parameters);
  expect(Math.abs(a! - v / (v + sigma ** 2))).toBeLessThan(0.02);
  expect(Math.abs(b! - (sigma ** 2 * m) / (v + sigma ** 2))).toBeLessThan(0.02);
  const other = make();
  other.training.load(snapshot!);
  expect(other.training.iteration).toBe(280);
  for await (const _ of other.training);
  expect(read(other.parameters)).toEqual([a, b]);
  expect(read(other.training.ema!.parameters)).toEqual(read(one.training.ema!.parameters));
});
