import "@tensorflow/tfjs";
import { divergence, reverseKl } from "@fdiv/divergences";
import { embedding } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import {
  data,
  discriminatorNet,
  gaussianNets,
  learnedRun,
  read,
  scalars,
  teacher,
} from "./gaussian-nets.testing.ts";
import { type DistilOptions, distil, dmd2, fixedNoise, gaussianMixture, logUniformNoise } from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

describe("a Gaussian student of a Gaussian teacher arrives", () => {
  it.each(["reverse-kl", "jensen-shannon", "forward-kl", "squared-hellinger", "jeffreys"])(
    "%s, ratio exact",
    async (name) => {
      const { generator, fake } = gaussianNets();
      const run = distil({
        teacher,
        generator,
        fake,
        divergence: divergence(name),
        exactLogRatio: (x, sigma) => {
          const [mean, logVariance] = [fake.parameters.get("mean")!, fake.parameters.get("logVariance")!];
          const spread = tf.add(tf.reshape(tf.square(sigma), [-1, 1]), tf.exp(logVariance));
          const own = tf.mul(-0.5, tf.add(tf.div(tf.square(tf.sub(x, mean)), spread), tf.log(spread)));
          const constant = 0.5 * Math.log(2 * Math.PI);
          return tf.add(tf.sub(teacher.logDensity(x, sigma), tf.reshape(own, [-1])), constant);
        },
        latentShape: [1],
        steps: 900,
        batchSize: 128,
        noise: logUniformNoise({ min: 0.1, max: 2 }),
        fakeNoise: logUniformNoise({ min: 0.1, max: 2 }),
        schedule: { generatorEvery: 3, criticMeanwhile: "train" },
        optimizers: {
          generator: { learningRate: 0.02, schedule: (i) => 1 - i / 900 },
          fake: { learningRate: 0.03, schedule: (i) => 1 - i / 1000 },
        },
      });
      for await (const row of run) expect(row.skipped).toBe(0);
      const [mean, size] = read(generator.parameters);
      expect(Math.abs(mean! - 0.5)).toBeLessThan(0.06);
      expect(Math.abs(Math.exp(size!) - 0.8)).toBeLessThan(0.06);
      run.dispose();
    },
  );
});

it("with a learned ratio, the adversarial term and R1, the student arrives too", async () => {
  const { generator, run } = learnedRun(1200, {
    gradientPenalty: { kind: "exact", weight: 0.01 },
    schedule: { generatorEvery: 4, criticMeanwhile: "train" },
  });
  for await (const _ of run);
  const [mean, size] = read(run.ema!.parameters);
  expect(Math.abs(mean! - 0.5)).toBeLessThan(0.15);
  expect(Math.abs(Math.exp(size!) - 0.8)).toBeLessThan(0.15);
  expect(read(generator.parameters).every(Number.isFinite)).toBe(true);
});

describe("special cases", () => {
  const rowsOf = async (run: ReturnType<typeof distil>) => {
    const rows = [];
    for await (const row of run) rows.push(row);
    return rows;
  };
  it("DMD2 is reverse KL with a critic that never rests", async () => {
    const options = (): DistilOptions => ({
      teacher,
      ...gaussianNets(),
      discriminator: discriminatorNet(1),
      data,
      latentShape: [1],
      steps: 10,
      batchSize: 16,
    });
    const rows = await rowsOf(dmd2(options()));
    const same = distil({ ...options(), divergence: reverseKl, schedule: { criticMeanwhile: "train" } });
    expect(rows.map(({ phase }) => phase).join(" ")).toBe(
      "critic critic critic critic both critic critic critic critic both",
    );
    expect(rows[9]!.weightVariance).toBe(0);
    expect(rows.map(({ fakeLoss }) => fakeLoss)).toEqual(
      (await rowsOf(same)).map(({ fakeLoss }) => fakeLoss),
    );
  });
  it("the adversarial term alone trains the generator too", async () => {
    const { run, generator } = learnedRun(600, {
      matchingWeight: 0,
      adversarialWeight: 1,
      schedule: { generatorEvery: 2, criticMeanwhile: "train" },
    });
    const rows = await rowsOf(run);
    expect(rows.some((row) => "matchingLoss" in row || "weightVariance" in row)).toBe(false);
    expect(Math.abs(read(generator.parameters)[0]! - 0.5)).toBeLessThan(0.5);
  });
});

it("conditions reach every net", async () => {
  const twin = gaussianMixture([
    { mean: [-2], covariance: 0.1 },
    { mean: [2], covariance: 0.1 },
  ]);
  const student = new Map([["means", tf.variable(tf.tensor2d([[0], [0]])) as tf.Variable]]);
  const pick = (labels: tf.Tensor): tf.Tensor => embedding(student.get("means")!, labels);
  const own = scalars({ unused: 0 });
  const run = distil({
    teacher: twin,
    generator: {
      parameters: student,
      generate: (z, labels) => tf.add(pick(labels!), tf.mul(Math.sqrt(0.1), z)),
    },
    fake: {
      parameters: own,
      // The posterior mean of N(means[label], .1), with a parameter that the loss can reach.
      denoise: (x, sigma, labels) => {
        const noise = tf.reshape(tf.square(sigma), [-1, 1]);
        return tf.add(
          tf.mul(0, own.get("unused")!),
          tf.div(tf.add(tf.mul(noise, pick(labels!)), tf.mul(0.1, x)), tf.add(noise, 0.1)),
        );
      },
    },
    conditions: (stream, count) =>
      tf.tensor1d(
        Int32Array.from(stream.uint32(count), (x) => x & 1),
        "int32",
      ),
    latentShape: [1],
    steps: 200,
    noise: fixedNoise(1),
    schedule: { generatorEvery: 2 },
    optimizers: { generator: { learningRate: 0.1, schedule: (i) => 1 - i / 220 } },
  });
  for await (const _ of run);
  const [low, high] = read(student);
  expect(low).toBeCloseTo(-2, 1);
  expect(high).toBeCloseTo(2, 1);
});

it("a discriminator over the fake denoiser's features trains them too, one over the teacher's does not", async () => {
  const firstStep = async (over: "teacher" | "fake", discriminatorWeight: number) => {
    const { generator, fake } = gaussianNets();
    const heads = scalars({ slope: 0.5 });
    const { denoise } = over === "fake" ? fake : teacher;
    const run = distil({
      teacher,
      generator,
      fake,
      discriminator: {
        parameters: heads,
        logits: (x, sigma) => tf.mul(heads.get("slope")!, denoise(x, sigma)) as tf.Tensor2D,
      },
      discriminatorWeight,
      data,
      latentShape: [1],
      steps: 1,
      noise: fixedNoise(0.5),
      normaliser: false,
    });
    for await (const row of run) {
      run.dispose();
      return { norm: row.fakeGradientNorm!, heads: row.discriminatorGradientNorm! };
    }
    throw new Error("no step was taken.");
  };
  const alone = await firstStep("fake", 0);
  const told = await firstStep("fake", 5);
  expect(Math.abs(told.norm - alone.norm)).toBeGreaterThan(0.05 * alone.norm);
  expect(told.heads).toBeGreaterThan(0);
  expect((await firstStep("teacher", 5)).norm).toBeCloseTo((await firstStep("teacher", 0)).norm, 6);
});
