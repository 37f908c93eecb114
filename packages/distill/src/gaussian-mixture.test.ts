import "@tensorflow/tfjs";
import { random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { gaussian, gaussianMixture, scoreOf } from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const fill = (n: number, value: number) => tf.fill([n], value) as tf.Tensor1D;

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
