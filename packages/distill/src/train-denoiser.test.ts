import "@tensorflow/tfjs";
import { random, valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import {
  approximateGradientPenalty,
  ema,
  exactGradientPenalty,
  powerExponent,
  trainDenoiser,
  updateSchedule,
} from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
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
