import "@tensorflow/tfjs";
import { random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, expect, it } from "vitest";
import {
  divergence,
  estimateDivergence,
  exactDivergence,
  forwardKl,
  jensenShannon,
  meanOverTokens,
  neymanChi2,
  pearsonChi2,
  reverseKl,
  tokenDivergence,
  totalVariation,
} from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const family = [reverseKl, forwardKl, jensenShannon, pearsonChi2, totalVariation, divergence("alpha:0.5")];
const simplex = (weights: number[]) => {
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => Math.log(w / total));
};
const twoLaws = fc
  .array(
    fc.tuple(fc.double({ min: 0.01, max: 1, noNaN: true }), fc.double({ min: 0.01, max: 1, noNaN: true })),
    {
      minLength: 2,
      maxLength: 8,
    },
  )
  .map((pairs) => [simplex(pairs.map(([a]) => a)), simplex(pairs.map(([, b]) => b))] as const);

it("is the textbook divergence", () => {
  const [m, t] = [simplex([1, 3]), simplex([1, 1])];
  expect(exactDivergence(reverseKl, m, t)).toBeCloseTo(0.25 * Math.log(0.5) + 0.75 * Math.log(1.5), 12);
  expect(exactDivergence(forwardKl, m, t)).toBeCloseTo(0.5 * Math.log(2) + 0.5 * Math.log(2 / 3), 12);
  expect(exactDivergence(totalVariation, m, t)).toBeCloseTo(0.25, 12);
  expect(exactDivergence(pearsonChi2, m, t)).toBeCloseTo(0.25, 12);
  expect(() => exactDivergence(reverseKl, [0], [0, 0])).toThrow(/1 and 2 outcomes/);
  expect(() => exactDivergence(reverseKl, [-1], [0])).toThrow(/the model sums to/);
});

it("takes mass without counterpart at its price", () => {
  const none = Number.NEGATIVE_INFINITY;
  const [m, t] = [
    [0, none],
    [none, 0],
  ];
  expect(exactDivergence(jensenShannon, m!, t!)).toBeCloseTo(2 * Math.LN2, 12);
  expect(exactDivergence(totalVariation, m!, t!)).toBe(1);
  expect(exactDivergence(reverseKl, m!, t!)).toBe(Number.POSITIVE_INFINITY);
  expect(exactDivergence(reverseKl, [Math.log(0.5), Math.log(0.5), none], simplex([1, 1, 2]))).toBeCloseTo(
    Math.LN2,
    12,
  );
});

it("never grows when outcomes are merged (data processing), and is 0 only at equality", () => {
  fc.assert(
    fc.property(twoLaws, ([m, t]) => {
      const merge = (logProbs: readonly number[]) => [
        Math.log(Math.exp(logProbs[0]!) + Math.exp(logProbs[1]!)),
        ...logProbs.slice(2),
      ];
      for (const d of family) {
        const fine = exactDivergence(d, m, t);
        expect(exactDivergence(d, merge(m), merge(t))).toBeLessThanOrEqual(fine + 1e-12);
        expect(exactDivergence(d, m, m)).toBeLessThan(1e-15);
        expect(exactDivergence(d.dual(), t, m)).toBeCloseTo(fine, 9);
      }
    }),
  );
});

it("is estimated without bias from either side, within its standard error", () => {
  const [m, t] = [simplex([4, 3, 2, 1]), simplex([1, 2, 3, 3])];
  const draw = random(11);
  const sample = (logProbs: number[]) => {
    const u = draw.next();
    let mass = 0;
    for (const [i, logProb] of logProbs.entries()) {
      mass += Math.exp(logProb);
      if (u < mass) return i;
    }
    return logProbs.length - 1;
  };
  for (const [from, law] of [
    ["model", m],
    ["target", t],
  ] as const) {
    const ratios = Array.from({ length: 40_000 }, () => sample(law)).map((i) => m[i]! - t[i]!);
    for (const d of [...family, neymanChi2]) {
      const { value, standardError, effectiveSamples } = estimateDivergence(d, ratios, from);
      expect(Math.abs(value - exactDivergence(d, m, t))).toBeLessThan(4 * standardError);
      if (from === "target") expect(effectiveSamples).toBeCloseTo(40_000, 6);
      else expect(effectiveSamples).toBeLessThan(40_000);
    }
  }
  const ratios = [0.1, -0.4, 0.3, 0.9];
  const repeated = ratios.flatMap((ratio) => [ratio, ratio, ratio]);
  const clusters = repeated.map((_, i) => Math.floor(i / 3));
  const alone = estimateDivergence(jensenShannon, ratios, "model");
  const clustered = estimateDivergence(jensenShannon, repeated, "model", { clusters });
  expect(clustered.value).toBeCloseTo(alone.value, 12);
  expect(clustered.standardError).toBeCloseTo(alone.standardError, 12);
  expect(() => estimateDivergence(reverseKl, [1], "model", { clusters })).toThrow(
    /1 samples and 12 clusters/,
  );
  expect(() => estimateDivergence(reverseKl, [], "model")).toThrow(/no samples/);
  expect(() => estimateDivergence(reverseKl, [Number.NaN], "model")).toThrow(/NaN/);
  expect(estimateDivergence(forwardKl, [-1000, 0], "model").value).toBeLessThan(Number.POSITIVE_INFINITY);
});

it("keeps what a target all but lacks: no weight is lost to a ratio beyond the largest exponent", () => {
  // ½ log(½/T) + ½ log(½/(1 − T)), and T's share of the others.
  for (const logTarget of [-45, -100, -400, -700]) {
    const m = [Math.log(0.5), Math.log(0.5)];
    const t = [logTarget, Math.log1p(-Math.exp(logTarget))];
    const exact = 0.5 * (m[0]! - t[0]!) + 0.5 * (m[1]! - t[1]!);
    expect(exactDivergence(reverseKl, m, t)).toBeCloseTo(exact, 9);
    const onTensors = tokenDivergence(reverseKl, tf.tensor2d([m]), tf.tensor2d([t]));
    expect(onTensors.dataSync()[0]! / exact).toBeCloseTo(1, 5);
    const [slope] = tf
      .grad((x) => tf.sum(tokenDivergence(reverseKl, x as tf.Tensor2D, tf.tensor2d([t]))))(tf.tensor2d([m]))
      .dataSync();
    expect(slope! / (0.5 * (m[0]! - t[0]!))).toBeCloseTo(1, 5);
  }
});

it("takes masked vocabularies: −∞ on both sides counts nothing, on one side its price, and no gradient is NaN", () => {
  const none = Number.NEGATIVE_INFINITY;
  const half = Math.log(0.5);
  const m = tf.tensor2d([
    [half, half, none],
    [half, half, none],
    [0, none, none],
    [none, half, half],
  ]);
  const t = tf.tensor2d([
    [half, half, none],
    [0, none, none],
    [half, half, none],
    [none, half, half],
  ]);
  const rows = (x: tf.Tensor2D) => x.arraySync();
  for (const d of [...family, neymanChi2]) {
    const found = tokenDivergence(d, m, t).dataSync();
    for (const i of [0, 1, 2, 3]) {
      const exact = exactDivergence(d, rows(m)[i]!, rows(t)[i]!);
      if (Number.isFinite(exact)) expect(found[i]).toBeCloseTo(exact, 5);
      else expect(found[i]).toBe(exact);
    }
    const slopes = tf
      .grad((x) => tf.sum(tokenDivergence(d, x as tf.Tensor2D, t)))(m)
      .dataSync();
    for (const slope of slopes) expect(Number.isNaN(slope)).toBe(false);
  }
  const mask = tf.tensor1d([1, 0, 1, 0]);
  const masked = tokenDivergence(reverseKl, m, t, { mask }).dataSync();
  expect([masked[0], masked[1], masked[3]]).toEqual([0, 0, 0]);
  expect(masked[2]).toBeCloseTo(Math.LN2, 6);
});

it("works token by token on tensors, and averages within sequences", () => {
  const m = tf.logSoftmax(
    tf.tensor2d([
      [1, 2, 3],
      [0, 0, 0],
      [3, 1, 0],
    ]),
  ) as tf.Tensor2D;
  const t = tf.logSoftmax(
    tf.tensor2d([
      [1, 0, 2],
      [0, 1, 0],
      [3, 1, 0],
    ]),
  ) as tf.Tensor2D;
  const perToken = tokenDivergence(jensenShannon, m, t);
  const rows = (x: tf.Tensor2D) => x.arraySync();
  for (const [i, row] of rows(m).entries())
    expect(perToken.dataSync()[i]).toBeCloseTo(exactDivergence(jensenShannon, row, rows(t)[i]!), 5);
  const means = meanOverTokens(perToken, tf.tensor1d([0, 0, 1], "int32"), 3).dataSync();
  const each = perToken.dataSync();
  expect(means[0]).toBeCloseTo((each[0]! + each[1]!) / 2, 6);
  expect(means[1]).toBeCloseTo(0, 6);
  expect(means[2]).toBe(0);
});
