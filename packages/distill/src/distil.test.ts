import "@tensorflow/tfjs";
import { divergence, forwardKl, jensenShannon, reverseKl } from "@fdiv/divergences";
import { embedding, linear, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import {
  type DistilOptions,
  DivergedError,
  decodeSnapshot,
  distil,
  dmd2,
  encodeSnapshot,
  fixedNoise,
  gaussian,
  gaussianMixture,
  logUniformNoise,
} from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const scalars = (values: Record<string, number>) =>
  new Map(Object.entries(values).map(([name, value]) => [name, tf.variable(tf.scalar(value))]));
const read = (parameters: ReadonlyMap<string, tf.Tensor>) =>
  [...parameters.values()].flatMap((x) => Array.from(x.dataSync()));

/** G(z) = mean + e^{size}·z, and a fake denoiser that is a Gaussian's with a mean and log-variance of its own. */
function gaussianNets() {
  const student = scalars({ mean: 2, size: -1 });
  const own = scalars({ mean: 2, logVariance: -2 });
  return {
    generator: {
      parameters: student,
      generate: (z: tf.Tensor) => tf.add(student.get("mean")!, tf.mul(tf.exp(student.get("size")!), z)),
    },
    fake: {
      parameters: own,
      denoise(x: tf.Tensor, sigma: tf.Tensor1D) {
        const variance = tf.exp(own.get("logVariance")!);
        const noise = tf.reshape(tf.square(sigma), [-1, 1]);
        const sum = tf.add(tf.mul(noise, own.get("mean")!), tf.mul(variance, x));
        return tf.div(sum, tf.add(variance, noise));
      },
    },
  };
}

/** A small net for the discriminator, on (x, ln σ). */
function discriminatorNet(seed: number, width = 16) {
  const source = random(seed);
  const variable = (rows: number, columns: number) =>
    tf.variable(
      tf.tensor2d(
        source
          .fork(`${rows} ${columns}`)
          .normal(rows * columns)
          .map((x) => x / Math.sqrt(columns)),
        [rows, columns],
      ),
    );
  const parameters = new Map([
    ["first", variable(width, 3)],
    ["second", variable(2, width)],
  ]);
  return {
    parameters,
    logits(x: tf.Tensor, sigma: tf.Tensor1D) {
      const level = tf.reshape(tf.log(sigma), [-1, 1]);
      const input = tf.concat([x, level, tf.onesLike(level)], 1);
      return linear(
        linear(input, parameters.get("first")!, { activation: "silu" }),
        parameters.get("second")!,
      ) as tf.Tensor2D;
    },
  };
}

const teacher = gaussian([0.5], 0.64);
const data: DistilOptions["data"] = (stream, count) => ({
  x: tf.tensor2d(
    stream.normal(count).map((z) => 0.5 + 0.8 * z),
    [count, 1],
  ),
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

function learnedRun(steps: number, extra: Partial<DistilOptions> = {}) {
  const nets = { ...gaussianNets(), discriminator: discriminatorNet(1) };
  const run = distil({
    teacher,
    ...nets,
    divergence: jensenShannon,
    data,
    latentShape: [1],
    steps,
    batchSize: 64,
    noise: logUniformNoise({ min: 0.1, max: 2 }),
    normaliser: { scale: "log", range: [0.1, 2] },
    ema: { kind: "power", width: 0.1 },
    optimizers: {
      generator: { learningRate: 0.02 },
      fake: { learningRate: 0.02 },
      discriminator: { learningRate: 0.005 },
    },
    ...extra,
  });
  return { ...nets, run };
}

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

describe("resuming", () => {
  it.each(["exact", "approximate"] as const)(
    "a run killed and continued is bit-equal, %s R1",
    async (kind) => {
      const extra = { gradientPenalty: { kind, weight: 0.1 }, schedule: { generatorEvery: 3 } };
      const whole = learnedRun(23, extra);
      const rows: object[] = [];
      for await (const row of whole.run) rows.push(row);

      const killed = learnedRun(23, extra);
      let file: Uint8Array | undefined;
      for await (const row of killed.run)
        if (row.iteration === 12) {
          file = await encodeSnapshot(await killed.run.save());
          break;
        }
      const continued = learnedRun(23, extra);
      for (const net of [continued.generator, continued.fake, continued.discriminator])
        for (const variable of net.parameters.values())
          variable.assign(tf.add(tf.mul(variable as tf.Tensor, 0), 9));
      continued.run.load(decodeSnapshot(file!));
      const after: object[] = [];
      for await (const row of continued.run) after.push(row);
      expect(after).toEqual(rows.slice(13));
      for (const net of ["generator", "fake", "discriminator"] as const)
        expect(read(continued[net].parameters)).toEqual(read(whole[net].parameters));
      expect(read(continued.run.ema!.parameters)).toEqual(read(whole.run.ema!.parameters));
      expect((await continued.run.save()).json).toEqual((await whole.run.save()).json);
    },
  );
  it("refuses a snapshot of another seed or other nets", async () => {
    const { run } = learnedRun(3);
    for await (const _ of run);
    const snapshot = await run.save();
    expect(() => learnedRun(3, { seed: 5 }).run.load(snapshot)).toThrow(/seed is 0, this run's 5/);
    snapshot.tensors.delete("fake.mean");
    expect(() => learnedRun(3).run.load(snapshot)).toThrow(/holds no fake\.mean/);
  });
});

it("leaks nothing from one row to the next", async () => {
  const { run } = learnedRun(14, {
    gradientPenalty: { kind: "exact", weight: 0.1 },
    schedule: { generatorEvery: 2 },
  });
  const counts: number[] = [];
  for await (const _ of run) counts.push(tf.memory().numTensors);
  expect(new Set(counts.slice(-6)).size).toBe(1);
});

describe("numbers that are not finite", () => {
  it("change nothing, are counted, and end the run when they go on", async () => {
    const broken: DistilOptions["data"] = (_, count) => ({ x: tf.fill([count, 1], Number.NaN) });
    const { run, discriminator, fake } = learnedRun(40, { data: broken, patience: 6 });
    const before = read(discriminator.parameters);
    const rows: { skipped: number }[] = [];
    await expect(async () => {
      for await (const row of run) rows.push(row);
    }).rejects.toThrow(DivergedError);
    expect(rows.at(-1)!.skipped).toBeGreaterThan(0);
    expect(read(discriminator.parameters)).toEqual(before);
    expect(read(fake.parameters).every(Number.isFinite)).toBe(true);
  });
});

describe("rows", () => {
  it("say what their phase computes", async () => {
    const { run } = learnedRun(5);
    const rows = [];
    for await (const row of run) rows.push(row);
    expect(rows.map(({ phase }) => phase)).toEqual(["critic", "critic", "critic", "critic", "generator"]);
    expect(Object.keys(rows[0]!)).toEqual(
      expect.arrayContaining(["fakeLoss", "discriminatorLoss", "discriminatorAccuracy"]),
    );
    const last = rows[4]!;
    for (const name of [
      "matchingLoss",
      "adversarialLoss",
      "weightVariance",
      "effectiveSamples",
      "clampedRatios",
      "outputDeviation",
    ] as const)
      expect(Number.isFinite(last[name])).toBe(true);
    expect(last.effectiveSamples).toBeCloseTo(64 / (1 + last.weightVariance!), 2);
    expect(last.generatorLoss).toBeCloseTo(last.matchingLoss! + 0.001 * last.adversarialLoss!, 5);
  });
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

describe("refuses options that mean nothing together", () => {
  const base = () => ({ teacher, ...gaussianNets(), latentShape: [1], steps: 1 });
  it.each([
    [{ divergence: forwardKl }, /weighs by the density ratio/],
    [{ discriminator: discriminatorNet(1) }, /needs data/],
    [{ adversarialWeight: 1 }, /without a discriminator/],
    [{ matchingWeight: 0 }, /has no loss/],
    [{ steps: 0 }, /steps is 0/],
    [{ divergence: divergence("total-variation") }, /can't weigh/],
    [{ normaliser: {} }, /no use for them/],
    [{ data, conditions: () => tf.zeros([1]) }, /come with the data/],
  ])("%o", (extra, message) => {
    expect(() => distil({ ...base(), divergence: reverseKl, ...extra } as DistilOptions)).toThrow(message);
  });
});

describe("a batch in pieces", () => {
  it.each([
    ["a learned ratio", { gradientPenalty: { kind: "exact", weight: 0.1 } }],
    ["one known exactly", { exactLogRatio: () => tf.zeros([0]) as tf.Tensor1D, normaliser: false }],
    ["its critic never resting", { schedule: { generatorEvery: 2, criticMeanwhile: "train" } }],
  ] as const)("gives the same rows and parameters up to rounding, with %s", async (_, extra) => {
    const known = (x: tf.Tensor, sigma: tf.Tensor1D) =>
      tf.tidy(() => tf.sub(tf.reshape(tf.mul(0.3, x), [-1]), tf.mul(0.1, sigma)) as tf.Tensor1D);
    const attempt = async (microBatch: number) => {
      const options: Partial<DistilOptions> = {
        ...(extra as Partial<DistilOptions>),
        ...("exactLogRatio" in extra && { exactLogRatio: known }),
        microBatch,
      };
      const made = learnedRun(12, { schedule: { generatorEvery: 3 }, ...options });
      const rows: Record<string, unknown>[] = [];
      for await (const row of made.run) rows.push({ ...row });
      const counts = tf.memory().numTensors;
      return { rows, counts, values: [...read(made.generator.parameters), ...read(made.fake.parameters)] };
    };
    const whole = await attempt(64);
    for (const size of [32, 16]) {
      const split = await attempt(size);
      split.values.forEach((value, i) => {
        expect(Math.abs(value - whole.values[i]!)).toBeLessThan(2e-4);
      });
      split.rows.forEach((row, i) => {
        expect(Object.keys(row).sort()).toEqual(Object.keys(whole.rows[i]!).sort());
        for (const [name, value] of Object.entries(row)) {
          const expected = whole.rows[i]![name];
          if (typeof value === "number")
            expect(Math.abs(value - (expected as number)), `${name} in row ${i}`).toBeLessThan(
              5e-3 * Math.max(0.2, Math.abs(value)),
            );
          else expect(value).toBe(expected);
        }
      });
    }
  });

  it("must divide, and leaks nothing", async () => {
    expect(() => learnedRun(1, { microBatch: 24 })).toThrow(/microBatch is 24, expected a divisor/);
    const { run } = learnedRun(14, { microBatch: 16, schedule: { generatorEvery: 2 } });
    const counts: number[] = [];
    for await (const _ of run) counts.push(tf.memory().numTensors);
    expect(new Set(counts.slice(-6)).size).toBe(1);
  });
});

it("the fake denoiser's plain loss is the mean square of its error", async () => {
  const first = async (fakeLoss: "edm" | "clean") => {
    const { run } = learnedRun(1, {
      fakeLoss,
      noise: fixedNoise(1),
      normaliser: { range: [0.5, 2] },
      sigmaData: 0.5,
    });
    for await (const row of run) return row.fakeLoss!;
    return Number.NaN;
  };
  // EDM's weight at σ = 1 and σ_d = ½ is 5.
  expect((await first("edm")) / (await first("clean"))).toBeCloseTo(5, 4);
  expect(() => learnedRun(1, { fakeLoss: "x" as "edm" })).toThrow(/there are edm and clean/);
});
