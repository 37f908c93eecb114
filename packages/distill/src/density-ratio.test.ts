import "@tensorflow/tfjs";
import { divergence, totalVariation } from "@fdiv/divergences";
import { random, valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { names } from "./admitted-divergences.testing.ts";
import {
  checkWeightAdmissible,
  densityRatio,
  discriminatorLoss,
  distributionMatching,
  InadmissibleWeightError,
  isWeightAdmissible,
  karrasUniformNoise,
  ratioNormaliser,
} from "./index.ts";
import { nodes, nodeWeights } from "./normal-nodes.testing.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

describe("the ratio", () => {
  it("counts what its clamps cut", () => {
    const { ratio, clampedLogits, clampedRatios } = densityRatio(tf.tensor1d([-11, -3, 0, 2, 5, 12]));
    [0.1, 0.1, 1, Math.exp(2), 20, 20].forEach((r, i) => {
      expect(ratio.dataSync()[i]!).toBeCloseTo(r, 4);
    });
    expect(Array.from(clampedLogits.dataSync())).toEqual([1, 0, 0, 0, 0, 1]);
    expect(Array.from(clampedRatios.dataSync())).toEqual([1, 1, 0, 0, 1, 1]);
  });

  it("64 % of Karras' draws fall in the first linear bin, and log bins spread them", () => {
    const sigmas = karrasUniformNoise().draw(random(1), 20_000);
    const first = (scale: "linear" | "log") =>
      ratioNormaliser({ scale })
        .binOf(sigmas)
        .filter((bin) => bin === 0).length / 20_000;
    expect(Math.abs(first("linear") - 0.64)).toBeLessThan(0.015);
    expect(first("log")).toBeLessThan(0.2);
  });

  it("brings a ratio that is off by a factor in a bin back, and its state makes another go on alike", async () => {
    const [one, other] = [
      ratioNormaliser({ scale: "log", bins: 4 }),
      ratioNormaliser({ scale: "log", bins: 4 }),
    ];
    const sigmas = [0.01, 0.01, 50, 50];
    const ratio = tf.tensor1d([2, 4, 0.5, 0.25]);
    for (let i = 0; i < 200; i++) one.normalise(ratio, sigmas).dispose();
    const found = one.normalise(ratio, sigmas).dataSync();
    [2 / 3, 4 / 3, 4 / 3, 2 / 3].forEach((r, i) => {
      expect(found[i]!).toBeCloseTo(r, 4);
    });
    other.load(JSON.parse(JSON.stringify(await one.state())));
    expect(Array.from(other.normalise(ratio, sigmas).dataSync())).toEqual(
      Array.from(one.normalise(ratio, sigmas).dataSync()),
    );
    one.normalise(tf.tensor1d([Number.NaN, 1, 1, 1]), sigmas).dispose();
    expect((await one.state()).means.every(Number.isFinite)).toBe(true);
    expect(() => other.load({ means: [1], counts: [1] })).toThrow(/expected 4 positive means/);
  });
});

it("the best discriminator between Gaussians has the logit log p − log q", () => {
  // p = N(0, 1), q = N(1, 1): the logit is ½ − x; the expected loss is stationary there, and not elsewhere.
  const slopes = (intercept: number, slope: number) => {
    const parameters = new Map([
      ["a", tf.variable(tf.scalar(intercept))],
      ["b", tf.variable(tf.scalar(slope))],
    ]);
    const { gradients } = valueAndGradients(() => {
      const logit = (shift: number) =>
        tf.add(parameters.get("a")!, tf.mul(parameters.get("b")!, tf.add(tf.tensor1d(nodes), shift)));
      const loss = discriminatorLoss({ real: logit(0), generated: logit(1) });
      return tf.sum(tf.mul(loss, tf.tensor1d(nodeWeights))) as tf.Scalar;
    }, parameters);
    return [...gradients.values()].map((x) => x.dataSync()[0]!);
  };
  for (const slope of slopes(0.5, -1)) expect(Math.abs(slope)).toBeLessThan(2e-6);
  expect(Math.abs(slopes(0.5, -0.9)[1]!)).toBeGreaterThan(0.01);
  expect(Math.abs(slopes(0.6, -1)[0]!)).toBeGreaterThan(0.01);
});

describe("admissibility", () => {
  it.each(names)("%s is admitted", (name) => {
    expect(isWeightAdmissible(divergence(name))).toBe(true);
  });
  it("total variation's weight is a delta", () => {
    expect(() => checkWeightAdmissible(totalVariation)).toThrow(InadmissibleWeightError);
    expect(() => checkWeightAdmissible(totalVariation)).toThrow(/total-variation .*jumps.*delta/);
    const zero = tf.zeros([1, 1]);
    expect(() =>
      distributionMatching(
        {
          generated: zero,
          teacherDenoised: zero,
          fakeDenoised: zero,
          sigmas: [1],
          logRatio: tf.tensor1d([0]),
        },
        { divergence: totalVariation },
      ),
    ).toThrow(InadmissibleWeightError);
  });
});
