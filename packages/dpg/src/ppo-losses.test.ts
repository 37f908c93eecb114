import "@tensorflow/tfjs";
import { forwardKl, jensenShannon, reverseKl, squaredHellinger } from "@fdiv/divergences";
import { valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import {
  adaptiveKlCoefficient,
  divergencePenalty,
  exactEstimator,
  fixedKlCoefficient,
  generalisedAdvantages,
  InfiniteDivergenceError,
  k1,
  k2,
  k3,
  penalisedRewards,
  ppoLoss,
  tabularDistribution,
  tabularPolicy,
  valueLoss,
  whiten,
} from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const policyTable = tabularDistribution([1, 2, 3, 4]).table();
const referenceTable = tabularDistribution([3, 2, 2, 1]).table();
const states = [0, 1, 2, 3];

/** Σ_x π(x)·∇ of a per-sample loss, with respect to the logits: its mean gradient on-policy. */
function meanGradient(loss: (logProbs: tf.Tensor1D, reference: tf.Tensor1D) => tf.Tensor1D): number[] {
  const policy = tabularPolicy({ outcomes: 4, logits: [Array.from(policyTable)] });
  const masses = tf.tensor1d(Array.from(policyTable, Math.exp));
  const { gradients } = valueAndGradients(() => {
    const logProbs = policy.logProbs(
      states,
      states.map(() => undefined),
    );
    return tf.sum(tf.mul(masses, loss(logProbs, tf.tensor1d([...referenceTable])))) as tf.Scalar;
  }, policy.parameters);
  return Array.from(gradients.get("logits")!.dataSync());
}
const close = (found: ArrayLike<number>, truth: ArrayLike<number>, digits = 5) =>
  Array.from(truth).forEach((x, i) => {
    expect(found[i]).toBeCloseTo(x, digits);
  });
const problem = { logPolicy: policyTable, logScores: referenceTable };

describe("k1, k2 and k3 as losses", () => {
  it("k1 has no gradient in the mean, k2 that of KL(π‖ref), k3 that of KL(ref‖π)", () => {
    close(meanGradient(k1), [0, 0, 0, 0]);
    close(meanGradient(k2), exactEstimator(problem, { divergence: reverseKl }).gradient);
    close(meanGradient(k3), exactEstimator(problem, { divergence: forwardKl }).gradient);
  });

  it("as values k1 and k3 are unbiased, k2 is not; no k3 is negative, none overflows", () => {
    const [p, q] = [tf.tensor1d([...policyTable]), tf.tensor1d([...referenceTable])];
    const mean = (x: tf.Tensor) =>
      Array.from(x.dataSync()).reduce((sum, v, i) => sum + v * Math.exp(policyTable[i]!), 0);
    const truth = exactEstimator(problem, { divergence: reverseKl }).divergence;
    expect(mean(k1(p, q))).toBeCloseTo(truth, 5);
    expect(mean(k3(p, q))).toBeCloseTo(truth, 5);
    expect(Math.abs(mean(k2(p, q)) - truth)).toBeGreaterThan(0.01);
    const far = tf.variable(tf.tensor1d([-500, 0, 500]));
    const { value, gradients } = valueAndGradients(
      () => tf.sum(k3(far, tf.zeros([3]) as tf.Tensor1D)) as tf.Scalar,
      new Map([["x", far]]),
    );
    expect(Number.isFinite(value.dataSync()[0])).toBe(true);
    const slopes = gradients.get("x")!.dataSync();
    expect(slopes.every(Number.isFinite)).toBe(true);
    expect(slopes[0]).toBeLessThan(-1);
    expect(
      k3(far, tf.zeros([3]))
        .dataSync()
        .every((x) => x >= 0),
    ).toBe(true);
  });

  it.each([reverseKl, forwardKl, jensenShannon, squaredHellinger])(
    "$name in the loss has its own gradient in the mean",
    (d) => {
      close(
        meanGradient((p, q) => divergencePenalty(p, q, d)),
        exactEstimator(problem, { divergence: d }).gradient,
      );
    },
  );
});

describe("divergence in the reward", () => {
  const batch = {
    scores: [2, -1],
    logProbs: [-1, -2, -0.5, -1],
    referenceLogProbs: [-1.5, -1, -1, -1],
    sequences: [0, 0, 1, 1],
  };
  it("k1 of each token, the score on the last", () => {
    close(penalisedRewards(batch, { coefficient: 0.1 }), [-0.05, 0.1 + 2, -0.05, -1], 12);
  });
  it("any f, of each token or of the sequence", () => {
    const s = jensenShannon.score;
    close(
      penalisedRewards(batch, { coefficient: 0.1, divergence: jensenShannon }),
      [-0.1 * s(0.5), 2 - 0.1 * s(-1), -0.1 * s(0.5), -1],
      12,
    );
    close(
      penalisedRewards(batch, { coefficient: 0.1, divergence: jensenShannon, per: "sequence" }),
      [0, 2 - 0.1 * s(-0.5), 0, -1 - 0.1 * s(0.5)],
      12,
    );
  });
  it("refuses what can't be", () => {
    const zero = { ...batch, referenceLogProbs: [-1 / 0, -1, -1, -1] };
    expect(() => penalisedRewards(zero, { coefficient: 0.1 })).toThrow(InfiniteDivergenceError);
    expect(penalisedRewards(zero, { coefficient: 0.1, divergence: jensenShannon })[0]).toBeCloseTo(
      -0.1 * Math.LN2,
      12,
    );
    expect(() => penalisedRewards({ ...batch, sequences: [0, 1, 0, 1] }, { coefficient: 1 })).toThrow(
      /do not lie together/,
    );
    expect(() => penalisedRewards({ ...batch, scores: [1] }, { coefficient: 1 })).toThrow(/1 scores for 2/);
  });
});

describe("advantages", () => {
  it("λ = 1: what is still to come, less the value; a bootstrap goes on where a sequence was cut off", () => {
    const tokens = { rewards: [1, 2, 3], values: [0.5, 0.25, 0.125], sequences: [4, 4, 4] };
    close(generalisedAdvantages(tokens, { lambda: 1 }).advantages, [5.5, 4.75, 2.875], 12);
    close(
      generalisedAdvantages({ ...tokens, bootstrap: [10] }, { lambda: 1 }).advantages,
      [15.5, 14.75, 12.875],
      12,
    );
    close(generalisedAdvantages(tokens, { lambda: 0 }).advantages, [0.75, 1.875, 2.875], 12);
    expect(() => generalisedAdvantages({ ...tokens, bootstrap: [] })).toThrow(/0 bootstrap values for 1/);
    expect(() => generalisedAdvantages(tokens, { lambda: 2 })).toThrow(/lambda is 2/);
  });
  it("whitened: mean 0 and variance 1, the order kept; nothing of nothing", () => {
    const white = whiten([1, 2, 3, 6]);
    expect(white.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 12);
    expect(white.reduce((a, b) => a + b * b, 0) / 3).toBeCloseTo(1, 6);
    expect(Array.from(whiten([2, 2]))).toEqual([0, 0]);
    expect(whiten([2, 4], { keepMean: true }).reduce((a, b) => a + b, 0)).toBeCloseTo(6, 12);
    expect(whiten([]).length).toBe(0);
  });
});

describe("PPO's loss", () => {
  it("at the start is the policy gradient, and has no gradient beyond the clip", () => {
    const logProbs = tf.variable(tf.tensor1d([-1, -1, -1]));
    const run = (moves: number[]) =>
      valueAndGradients(
        () =>
          tf.sum(
            ppoLoss({
              logProbs,
              oldLogProbs: tf.tensor1d(moves.map((x) => -1 - x)),
              advantages: tf.tensor1d([1, -2, 3]),
            }).loss,
          ) as tf.Scalar,
        new Map([["x", logProbs]]),
      )
        .gradients.get("x")!
        .dataSync();
    close(run([0, 0, 0]), [-1, 2, -3]);
    close(run([0.5, -0.5, -0.5]), [0, 0, -3 * Math.exp(-0.5)]);
    expect(run([0, 500, 0]).every(Number.isFinite)).toBe(true);
  });
  it("counts what was clipped and how far the policy moved", () => {
    const { clipped, approximateKl } = ppoLoss({
      logProbs: tf.tensor1d([-1, -1]),
      oldLogProbs: tf.tensor1d([-1.5, -1]),
      advantages: tf.tensor1d([1, 1]),
    });
    expect(Array.from(clipped.dataSync())).toEqual([1, 0]);
    close(approximateKl.dataSync(), [Math.exp(0.5) - 1.5, 0]);
  });
  it("refuses shapes and clips that can't be", () => {
    const one = tf.tensor1d([1]);
    expect(() => ppoLoss({ logProbs: one, oldLogProbs: tf.tensor1d([1, 2]), advantages: one })).toThrow(
      /oldLogProbs has shape \[2\]/,
    );
    expect(() => ppoLoss({ logProbs: one, oldLogProbs: one, advantages: one }, { clip: 1 })).toThrow(
      /clip is 1/,
    );
    expect(
      valueLoss({ values: one, oldValues: one, returns: tf.tensor1d([3]) }, { clip: null }).dataSync()[0],
    ).toBe(2);
  });
});

it("KL coefficients: fixed, or steered as Ziegler's", () => {
  const fixed = fixedKlCoefficient();
  fixed.update(100, 100);
  expect(fixed.value).toBe(0.05);
  const steered = adaptiveKlCoefficient({ initial: 0.2, target: 6, horizon: 1000 });
  steered.update(60, 100);
  expect(steered.value).toBeCloseTo(0.2 * 1.02, 12);
  steered.update(5.4, 100);
  expect(steered.value).toBeCloseTo(0.2 * 1.02 * 0.99, 12);
  const resumed = adaptiveKlCoefficient();
  resumed.load(JSON.parse(JSON.stringify(steered.state())));
  expect(resumed.value).toBe(steered.value);
  steered.update(0, 1e6);
  expect(steered.value).toBeGreaterThan(0);
});
