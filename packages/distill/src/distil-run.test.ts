import "@tensorflow/tfjs";
import { divergence, forwardKl, reverseKl } from "@fdiv/divergences";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { data, discriminatorNet, gaussianNets, learnedRun, read, teacher } from "./gaussian-nets.testing.ts";
import {
  type DistilOptions,
  DivergedError,
  decodeSnapshot,
  distil,
  encodeSnapshot,
  fixedNoise,
} from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
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
