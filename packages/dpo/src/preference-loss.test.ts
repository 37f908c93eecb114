import "@tensorflow/tfjs";
import {
  alpha,
  divergence,
  divergenceFromGenerator,
  forwardKl,
  jeffreys,
  jensenShannon,
  neymanChi2,
  pearsonChi2,
  reverseKl,
  softenedForwardKl,
  softenedReverseKl,
  squaredHellinger,
  totalVariation,
} from "@fdiv/divergences";
import { valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import {
  InadmissibleDivergenceError,
  optimalPolicy,
  type PreferenceLossOptions,
  preferenceLoss,
  preferenceMetrics,
} from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const zeros = (n: number) => tf.zeros([n]) as tf.Tensor1D;
const pairs = (chosen: number[], rejected: number[]) => ({
  policy: { chosen: tf.tensor1d(chosen), rejected: tf.tensor1d(rejected) },
  reference: { chosen: zeros(chosen.length), rejected: zeros(chosen.length) },
});

function lossAndGradients(chosen: number, rejected: number, options: PreferenceLossOptions) {
  const c = tf.variable(tf.tensor1d([chosen]));
  const r = tf.variable(tf.tensor1d([rejected]));
  const reference = { chosen: zeros(1), rejected: zeros(1) };
  const { value, gradients } = valueAndGradients(
    () =>
      tf.sum(preferenceLoss({ policy: { chosen: c, rejected: r }, reference }, options).loss) as tf.Scalar,
    new Map([
      ["c", c],
      ["r", r],
    ]),
  );
  return [value, gradients.get("c")!, gradients.get("r")!].map((x) => x.dataSync()[0]!);
}

describe("the worked example, l = (1, −½), β = .1", () => {
  it.each([
    [reverseKl, 0.620957, -0.046257, 0.046257],
    [forwardKl, 0.6311544, -0.0172176, 0.0771639],
    [jensenShannon, 0.6606522, -0.0130029, 0.030095],
    [alpha(0.5), 0.6276909, -0.0282751, 0.0598583],
  ])("$name", (d, loss, dChosen, dRejected) => {
    const found = lossAndGradients(1, -0.5, { divergence: d, beta: 0.1 });
    [loss, dChosen, dRejected].forEach((exact, i) => {
      expect(found[i]).toBeCloseTo(exact, 6);
    });
  });
});

describe("at the start", () => {
  it.each(["reverse-kl", "jensen-shannon", "forward-kl", "alpha:0.3", "jeffreys"])(
    "%s: log 2 and no margin",
    (name) => {
      const logProbs = pairs([-7, -1], [-7, -3]);
      const same = { policy: logProbs.policy, reference: logProbs.policy };
      const { loss, margin } = preferenceLoss(same, { divergence: divergence(name), beta: 0.3 });
      for (const x of loss.dataSync()) expect(x).toBeCloseTo(Math.LN2, 6);
      expect(Array.from(margin.dataSync())).toEqual([0, 0]);
    },
  );
});

describe("admissibility", () => {
  it.each([pearsonChi2, softenedReverseKl, totalVariation, alpha(-0.5)])(
    "$name is refused with the reason",
    (d) => {
      const run = () => preferenceLoss(pairs([0], [0]), { divergence: d, beta: 1 });
      expect(run).toThrow(InadmissibleDivergenceError);
      expect(run).toThrow(/f′\(0\) = -?\d.* is finite/);
      const allowed = preferenceLoss(pairs([0], [0]), { divergence: d, beta: 1, allowInadmissible: true });
      expect(allowed.loss.dataSync()[0]).toBeCloseTo(Math.LN2, 6);
    },
  );

  it("is about what happens: under Pearson's χ² the best policy drops an outcome and the multiplier does not cancel", () => {
    // Maximise Σ πr − ½Σ(π − ref)²/ref·2/2 … by projected gradient, independently of any score.
    const reference = [0.4, 0.3, 0.2, 0.1];
    const rewards = [0, 1, 2, -8];
    let policy = [...reference];
    for (let step = 0; step < 20_000; step++) {
      const slope = policy.map(
        (p, i) => rewards[i]! - pearsonChi2.score(Math.log(Math.max(p, 1e-300) / reference[i]!)),
      );
      const moved = policy.map((p, i) => p + 0.005 * slope[i]!);
      policy = projectOnSimplex(moved);
    }
    expect(policy[3]).toBe(0);
    const remainders = policy.map((p, i) => rewards[i]! - 2 * (p / reference[i]! - 1));
    [0.556, 0.556, 0.556, -6].forEach((exact, i) => {
      expect(remainders[i]).toBeCloseTo(exact, 3);
    });
    expect(() => optimalPolicy(reference, rewards, 1, pearsonChi2)).toThrow(InadmissibleDivergenceError);
  });
});

/** The nearest point of the probability simplex. */
function projectOnSimplex(x: number[]): number[] {
  const sorted = [...x].sort((a, b) => b - a);
  let sum = 0;
  let threshold = 0;
  sorted.forEach((value, i) => {
    sum += value;
    if (value - (sum - 1) / (i + 1) > 0) threshold = (sum - 1) / (i + 1);
  });
  return x.map((value) => Math.max(0, value - threshold));
}

describe("stability", () => {
  it("keeps loss and gradients finite, and the right way, at any log-ratio", () => {
    for (const d of [reverseKl, forwardKl, jensenShannon, alpha(0.5), alpha(2), jeffreys])
      for (const [c, r] of [
        [-100, 100],
        [100, -100],
        [-1e4, 1e4],
        [1e4, -1e4],
        [-300, -300],
      ] as const) {
        const [loss, dChosen, dRejected] = lossAndGradients(c, r, { divergence: d, beta: 0.1 });
        for (const x of [loss, dChosen, dRejected]) expect(Number.isFinite(x)).toBe(true);
        expect(loss).toBeGreaterThanOrEqual(0);
        expect(dChosen).toBeLessThanOrEqual(0);
        expect(dRejected).toBeGreaterThanOrEqual(0);
        if (c < r) expect(dChosen).toBeLessThan(0);
      }
  });
  it("counts the saturated scores", () => {
    const { saturated } = preferenceLoss(pairs([-100, 0], [-200, 50]), { divergence: forwardKl, beta: 0.1 });
    expect(Array.from(saturated.dataSync())).toEqual([2, 0]);
  });
});

describe("other losses of the margin", () => {
  const logProbs = pairs([1, -2], [-0.5, 3]);
  const loss = (options: Partial<PreferenceLossOptions>) =>
    Array.from(preferenceLoss(logProbs, { divergence: reverseKl, beta: 0.2, ...options }).loss.dataSync());
  const margins = [0.3, -1];
  const softplus = (x: number) => Math.log1p(Math.exp(x));
  const close = (found: number[], exact: number[]) =>
    exact.forEach((x, i) => {
      expect(found[i]).toBeCloseTo(x, 5);
    });

  it("are what their papers say", () => {
    close(
      loss({ labelSmoothing: 0.1 }),
      margins.map((m) => 0.9 * softplus(-m) + 0.1 * softplus(m)),
    );
    close(
      loss({ loss: "robust", labelSmoothing: 0.1 }),
      margins.map((m) => (0.9 * softplus(-m) - 0.1 * softplus(m)) / 0.8),
    );
    close(
      loss({ loss: "hinge" }),
      margins.map((m) => Math.max(0, 1 - m)),
    );
    close(
      loss({ loss: "ipo" }),
      [1.5, -5].map((h) => (h - 2.5) ** 2),
    );
    close(loss({ lengths: { chosen: tf.tensor1d([2, 4]), rejected: tf.tensor1d([1, 3]) } }), [
      softplus(-0.2 * (0.5 + 0.5)),
      softplus(-0.2 * (-0.5 - 1)),
    ]);
  });
  it("the robust one is unbiased under flips", () => {
    const robust = (m: number) => (0.9 * softplus(-m) - 0.1 * softplus(m)) / 0.8;
    for (const m of margins) expect(0.9 * robust(m) + 0.1 * robust(-m)).toBeCloseTo(softplus(-m), 12);
  });
  it("refuse what they can't combine with", () => {
    expect(() => loss({ loss: "ipo", divergence: forwardKl })).toThrow(/reverse-kl alone/);
    expect(() => loss({ loss: "hinge", labelSmoothing: 0.1 })).toThrow(/no label smoothing/);
    expect(() => loss({ labelSmoothing: 0.5 })).toThrow(/\[0, 0\.5\)/);
    expect(() => loss({ beta: 0 })).toThrow(/beta is 0/);
    expect(() => loss({ loss: "ipoo" as never })).toThrow(/no loss "ipoo"; there are sigmoid/);
    expect(() => loss({ labelSmoothing: Number.NaN })).toThrow(/label smoothing/);
    expect(() => loss({ divergence: undefined as never })).toThrow(/divergence is missing/);
    expect(() => loss({ labelSmothing: 0.1 } as never)).toThrow(/unknown option "labelSmothing"/);
    expect(() =>
      preferenceLoss(
        { ...logProbs, reference: { chosen: zeros(3), rejected: zeros(2) } },
        { divergence: reverseKl, beta: 1 },
      ),
    ).toThrow(/reference\.chosen has shape \[3\], expected \[2\]/);
  });
});

it("sums its metrics over the batch, rewards under the divergence trained", () => {
  const logProbs = pairs([1, -2, 0], [-0.5, 3, 0]);
  const result = preferenceLoss(logProbs, { divergence: forwardKl, beta: 0.2 });
  const metrics = Object.fromEntries(
    Object.entries(preferenceMetrics(result, logProbs)).map(([name, x]) => [name, x.dataSync()[0]!]),
  );
  expect(metrics["rewards/chosen"]).toBeCloseTo(0.2 * (forwardKl.score(1) + forwardKl.score(-2)), 5);
  expect(metrics["rewards/accuracies"]).toBe(1.5);
  expect(metrics["log-ratios/rejected"]).toBeCloseTo(2.5, 6);
  expect(metrics["logps/chosen"]).toBeCloseTo(-1, 6);
});

it("refuses a custom divergence whose score at 0 is finite though it falls slowly", () => {
  const d = divergenceFromGenerator(
    { name: "slow power", generator: (u, m) => m.power(u, 1.1) },
    { register: false },
  );
  expect(() => preferenceLoss(pairs([0], [0]), { divergence: d, beta: 1 })).toThrow(
    InadmissibleDivergenceError,
  );
});

describe("a tabular policy trained on every comparison", () => {
  const reference = [0.4, 0.3, 0.2, 0.1];
  const rewards = [0, 1, 2, -2];
  const beta = 0.5;

  it.each([
    reverseKl,
    jensenShannon,
    alpha(0.5),
    forwardKl,
    jeffreys,
    squaredHellinger,
    neymanChi2,
    softenedForwardKl,
  ])("$name ends at π⋆", (d) => {
    const logits = tf.variable(tf.tensor1d(reference.map(Math.log)));
    const logReference = tf.tensor1d(reference.map(Math.log));
    const duels = rewards
      .flatMap((_, i) => rewards.map((__, j) => [i, j] as const))
      .filter(([i, j]) => i !== j);
    const winners = tf.tensor1d(
      duels.map(([i]) => i),
      "int32",
    );
    const losers = tf.tensor1d(
      duels.map(([, j]) => j),
      "int32",
    );
    const share = tf.tensor1d(duels.map(([i, j]) => 1 / (1 + Math.exp(rewards[j]! - rewards[i]!))));
    const optimizer = tf.train.adam(0.05);
    const objective = () => {
      const policy = tf.logSoftmax(logits);
      const { loss } = preferenceLoss(
        {
          policy: { chosen: tf.gather(policy, winners), rejected: tf.gather(policy, losers) },
          reference: { chosen: tf.gather(logReference, winners), rejected: tf.gather(logReference, losers) },
        },
        { divergence: d, beta },
      );
      return tf.sum(tf.mul(share, loss)) as tf.Scalar;
    };
    for (let step = 0; step < 600; step++) optimizer.minimize(objective);
    const found = tf.softmax(logits).dataSync();
    const best = optimalPolicy(reference, rewards, beta, d);
    expect(best.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
    best.forEach((p, i) => {
      expect(found[i]).toBeCloseTo(p, 3);
    });
  });
});
