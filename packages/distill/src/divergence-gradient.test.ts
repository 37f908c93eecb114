import "@tensorflow/tfjs";
import { type Divergence, divergence, jensenShannon } from "@fdiv/divergences";
import { random, valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { names } from "./admitted-divergences.testing.ts";
import { distributionMatching, gaussian } from "./index.ts";
import { nodes, nodeWeights } from "./normal-nodes.testing.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** D_f(N(mean, deviation²)‖N(0, 1)) in float64, from the divergence's value alone: it knows nothing of weights. */
function exactBetween(d: Divergence, mean: number, deviation: number): number {
  const width = 0.002;
  let sum = 0;
  for (let x = -18; x <= 18; x += width) {
    const logTarget = -(x ** 2) / 2 - Math.log(2 * Math.PI) / 2;
    const logModel = -(((x - mean) / deviation) ** 2) / 2 - Math.log(2 * Math.PI) / 2 - Math.log(deviation);
    const l = logModel - logTarget;
    // The same number either way; each where it does not overflow.
    const term = l < 0 ? Math.exp(logTarget) * d.value(l) : Math.exp(logModel) * d.dual().value(-l);
    sum += width * term;
  }
  return sum;
}

/** Its slopes by mean and by deviation at noise level σ, where both laws are wider by σ². */
function exactSlopes(d: Divergence, mean: number, deviation: number, sigma: number): [number, number] {
  const scale = Math.sqrt(1 + sigma ** 2);
  const at = (m: number, s: number) => exactBetween(d, m / scale, Math.sqrt(s ** 2 + sigma ** 2) / scale);
  const h = 1e-4;
  return [
    (at(mean + h, deviation) - at(mean - h, deviation)) / (2 * h),
    (at(mean, deviation + h) - at(mean, deviation - h)) / (2 * h),
  ];
}

/**
 * The gradient on the parameters of G(z) = mean + deviation·z against the teacher N(0, 1), fake scores and ratio exact, at noise level σ.
 * x_t = mean + deviation·z + σε; the batch is either quadrature nodes or draws.
 */
function parameterGradients(
  d: Divergence,
  [mean, deviation, sigma]: [number, number, number],
  z: Float32Array,
  epsilon: Float32Array,
  weights?: Float32Array,
): { gradients: [number, number]; errors: [number, number] } {
  const parameters = new Map([
    ["mean", tf.variable(tf.scalar(mean))],
    ["deviation", tf.variable(tf.scalar(deviation))],
  ]);
  const teacher = gaussian([0], 1);
  const fake = gaussian([mean], deviation ** 2);
  const sigmas = new Float32Array(z.length).fill(sigma);
  const level = tf.tensor1d(sigmas);
  const latent = tf.tensor2d(z, [z.length, 1]);
  const x = tf.tidy(() =>
    tf.add(tf.add(mean, tf.mul(deviation, latent)), tf.mul(sigma, tf.tensor2d(epsilon, [z.length, 1]))),
  );
  let per: Float32Array | undefined;
  const { gradients } = valueAndGradients(() => {
    const generated = tf.add(parameters.get("mean")!, tf.mul(parameters.get("deviation")!, latent));
    const { loss, gradient } = distributionMatching(
      {
        generated,
        sigmas,
        teacherDenoised: teacher.denoise(x, level),
        fakeDenoised: fake.denoise(x, level),
        logRatio: tf.sub(teacher.logDensity(x, level), fake.logDensity(x, level)),
      },
      { divergence: d, scale: "score", balance: false },
    );
    per = gradient.dataSync() as Float32Array;
    return (weights ? tf.sum(tf.mul(loss, tf.tensor1d(weights))) : tf.mean(loss)) as tf.Scalar;
  }, parameters);
  const spread = (values: number[]) => {
    const average = values.reduce((a, b) => a + b, 0) / values.length;
    return Math.sqrt(values.reduce((a, b) => a + (b - average) ** 2, 0) / values.length ** 2);
  };
  const errors: [number, number] = [spread([...per!]), spread([...per!].map((g, i) => g * z[i]!))];
  return {
    gradients: [gradients.get("mean")!.dataSync()[0]!, gradients.get("deviation")!.dataSync()[0]!],
    errors,
  };
}

describe("the gradient on a generator's parameters is that of D_f", () => {
  it.each(names)("%s: by quadrature, to float32's digits", (name) => {
    const d = divergence(name);
    // x_t = mean + u√(1 + σ²) in law; all of u is put into z, which moves the mean alone.
    const sigma = 0.6;
    const scale = Math.sqrt(1 + sigma ** 2);
    const mean = 0.8;
    const z = nodes.map((u) => u * scale);
    const { gradients } = parameterGradients(d, [mean, 1, sigma], z, new Float32Array(z.length), nodeWeights);
    const [slope] = exactSlopes(d, mean, 1, sigma);
    expect(Math.abs(gradients[0] / slope - 1)).toBeLessThan(2e-5);
  });

  it.each([
    ["alpha:0.3", 0.3],
    ["alpha:0.5", 0.5],
    ["reverse-kl", 0],
    ["forward-kl", 1],
  ])("%s: the closed form μ·exp(α(α−1)μ²/2) with its chain factor", (name, a) => {
    for (const [mean, sigma] of [
      [0.5, 0.1],
      [1, 1],
      [2, 2],
    ] as const) {
      const scale = Math.sqrt(1 + sigma ** 2);
      const z = nodes.map((u) => u * scale);
      const { gradients } = parameterGradients(
        divergence(name),
        [mean, 1, sigma],
        z,
        new Float32Array(z.length),
        nodeWeights,
      );
      const reduced = mean / scale;
      const exact = (reduced * Math.exp((a * (a - 1) * reduced ** 2) / 2)) / scale;
      expect(Math.abs(gradients[0] / exact - 1)).toBeLessThan(2e-5);
    }
  });

  it("Jensen–Shannon at μ = 1: D .222843, gradient .397973", () => {
    const sigma = 0.05;
    const scale = Math.sqrt(1 + sigma ** 2);
    const z = nodes.map((u) => u * scale);
    const { gradients } = parameterGradients(
      jensenShannon,
      [scale, 1, sigma],
      z,
      new Float32Array(z.length),
      nodeWeights,
    );
    expect(Math.abs((gradients[0] * scale) / 0.397973 - 1)).toBeLessThan(3e-5);
    expect(exactBetween(jensenShannon, 1, 1)).toBeCloseTo(0.222843, 6);
  });

  // Neyman's weight e^{−2l} has no variance under a narrower generator.
  it.each(names.filter((name) => name !== "neyman-chi2"))(
    "%s: by 20 000 draws, within 4 standard errors, mean and deviation",
    (name) => {
      const source = random(`draws of ${name}`);
      const [mean, deviation, sigma] = [0.5, 0.8, 0.7] as const;
      const found = parameterGradients(
        divergence(name),
        [mean, deviation, sigma],
        source.fork("z").normal(20_000),
        source.fork("noise").normal(20_000),
      );
      exactSlopes(divergence(name), mean, deviation, sigma).forEach((slope, i) => {
        expect(Math.abs(found.gradients[i]! - slope)).toBeLessThan(4 * found.errors[i]!);
        // Wide errors would make the line above say nothing.
        expect(found.errors[i]!).toBeLessThan(0.12 * Math.max(1, Math.abs(slope)));
      });
    },
  );
});
