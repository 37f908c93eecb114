import "@tensorflow/tfjs";
import {
  alpha,
  type Divergence,
  divergence,
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
  checkEstimator,
  dpgLoss,
  type ExactProblem,
  estimator,
  exactEstimator,
  InfiniteDivergenceError,
  NoSupportError,
  SampleCountError,
  tabularPolicy,
} from "./index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const everyDivergence: Divergence[] = [
  reverseKl,
  forwardKl,
  jensenShannon,
  alpha(0.5),
  alpha(0.3),
  squaredHellinger,
  neymanChi2,
  pearsonChi2,
  jeffreys,
  softenedReverseKl,
  softenedForwardKl,
  totalVariation,
];

const normalise = (weights: number[]) => {
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => Math.log(w / total));
};
const states = Array.from({ length: 12 }, (_, x) => x);
/** π and q near enough for every weight to have a variance, P unnormalised. */
const problem: ExactProblem = {
  logPolicy: normalise(states.map((x) => 1 + 0.8 * Math.sin(x))),
  logScores: states.map((x) => Math.log(3 + 2 * Math.cos(1.7 * x)) + 0.4),
};
const proposal = normalise(states.map((x) => 1 + 0.5 * Math.cos(0.9 * x)));

describe("the coefficients", () => {
  it("combine exponents: −300, −100, −101 gives −e⁻¹ for forward KL and never NaN", () => {
    const batch = { logPolicy: [-300], logProposal: [-100], logScores: [-101], logPartition: 0 };
    const { coefficients } = estimator(batch, { divergence: forwardKl });
    expect(coefficients[0]).toBeCloseTo(-Math.exp(-1), 12);
    for (const d of everyDivergence)
      expect(Number.isFinite(estimator(batch, { divergence: d }).coefficients[0])).toBe(true);
  });

  it("even where the score itself is beyond float64", () => {
    const batch = { logPolicy: [-2000], logProposal: [-100], logScores: [-101], logPartition: 0 };
    expect(estimator(batch, { divergence: forwardKl }).coefficients[0]).toBeCloseTo(-Math.exp(-1), 9);
    const alphas = { ...batch, logPolicy: [-2000], logProposal: [-1050] };
    // (π/q)·s = −2·e^{−950 + 949.5}.
    expect(estimator(alphas, { divergence: alpha(0.5) }).coefficients[0]).toBeCloseTo(-2 * Math.exp(-0.5), 9);
  });

  it("are cut, and counted, where even their sum of exponents is too large", () => {
    const found = estimator(
      { logPolicy: [-300, -1], logScores: [-100, -1], logPartition: 0 },
      { divergence: forwardKl },
    );
    expect(found.saturated).toBe(1);
    expect(found.coefficients[0]).toBeCloseTo(-Math.exp(40), -4);
    expect(Math.abs(found.coefficients[1]!)).toBe(0);
  });

  it.each(everyDivergence)("$name: no advantage is left at π = p", (d) => {
    const logTarget = normalise(states.map((x) => 1 + x));
    for (const baseline of ["none", "leave-one-out"] as const) {
      const batch = { logPolicy: logTarget, logScores: logTarget.map((x) => x + 3), logPartition: 3 };
      for (const c of estimator(batch, { divergence: d, baseline }).coefficients)
        expect(Math.abs(c)).toBeLessThan(1e-12);
    }
  });

  it("give the surrogate the exact gradient when every outcome is drawn by its probability", () => {
    const policy = tabularPolicy({ outcomes: 12, logits: [Array.from(problem.logPolicy)] });
    const masses = Float64Array.from(Array.from(problem.logPolicy), Math.exp);
    const contexts = states.map(() => undefined);
    for (const d of everyDivergence) {
      const exact = exactEstimator(problem, { divergence: d });
      const { coefficients } = estimator({ ...problem, logPartition: exact.logZ }, { divergence: d });
      const { gradients } = valueAndGradients(
        () =>
          tf.sum(
            dpgLoss(
              policy.logProbs(states, contexts),
              coefficients.map((c, x) => c * masses[x]!),
            ),
          ) as tf.Scalar,
        policy.parameters as Map<string, tf.Variable>,
      );
      gradients
        .get("logits")!
        .dataSync()
        .forEach((g, k) => {
          expect(g).toBeCloseTo(exact.gradient[k]!, 5);
        });
    }
  });
});

describe("the exact gradient", () => {
  it.each(everyDivergence)("$name: that of finite differences", (d) => {
    const logits = Array.from(problem.logPolicy);
    const at = (k: number, step: number) => {
      const moved = logits.map((x, i) => (i === k ? x + step : x));
      return exactEstimator({ ...problem, logPolicy: normalise(moved.map(Math.exp)) }, { divergence: d })
        .divergence;
    };
    const { gradient } = exactEstimator(problem, { divergence: d });
    for (const k of states) expect((at(k, 1e-5) - at(k, -1e-5)) / 2e-5).toBeCloseTo(gradient[k]!, 7);
  });

  it("is the mean of the estimator off-policy too, which a baseline leaves alone while it lowers the variance", () => {
    for (const d of everyDivergence)
      for (const logProposal of [undefined, proposal]) {
        const at = (baseline: "none" | "mean" | number) =>
          exactEstimator({ ...problem, logProposal }, { divergence: d, baseline });
        for (const baseline of ["none", "mean", 0.7] as const)
          at(baseline).estimate.forEach((g, k) => {
            expect(g).toBeCloseTo(at(baseline).gradient[k]!, 12);
          });
      }
    const variance = (baseline: "none" | "mean") =>
      exactEstimator({ ...problem, logProposal: proposal }, { divergence: forwardKl, baseline }).variance;
    expect(variance("mean")).toBeLessThan(variance("none") * 1.001);
  });
});

describe("bias, by Monte Carlo", () => {
  for (const baseline of ["none", "running-mean", "leave-one-out"] as const)
    it.each(everyDivergence)(`$name with the ${baseline} baseline, on- and off-policy`, (d) => {
      for (const logProposal of [undefined, proposal]) {
        const check = checkEstimator(
          { ...problem, logProposal },
          { divergence: d, baseline, samples: 50_000, batch: 50, seed: 1 },
        );
        expect(check.largest).toBeLessThan(4);
        expect(check.largest).toBeGreaterThan(0);
        expect(Math.max(...check.standardErrors)).toBeLessThan(0.05);
      }
    });

  it("would be seen: the baseline subtracted after weighting is biased by many standard errors", () => {
    const truth = exactEstimator({ ...problem, logProposal: proposal }, { divergence: divergence("js") });
    // The peer's way: (π/q)·s − b, whose mean differs by b·(E_π − E_q)∇log π.
    const masses = proposal.map(Math.exp);
    const policy = Array.from(problem.logPolicy, Math.exp);
    const bias = states.map((k) => truth.meanScore * (policy[k]! - masses[k]!));
    const check = checkEstimator(
      { ...problem, logProposal: proposal },
      { divergence: jensenShannon, baseline: "leave-one-out", samples: 50_000, batch: 50 },
    );
    expect(Math.max(...bias.map((b, k) => Math.abs(b) / check.standardErrors[k]!))).toBeGreaterThan(8);
  });
});

describe("zeros and edges", () => {
  const rejecting = { logPolicy: [-1, -1], logScores: [-1, Number.NEGATIVE_INFINITY], logPartition: -0.5 };

  it.each(everyDivergence)("$name on an outcome that the target rules out: finite, or refused", (d) => {
    const run = () => estimator(rejecting, { divergence: d });
    if (Number.isFinite(d.scoreLimits[1])) expect(run().coefficients[1]).toBeCloseTo(d.scoreLimits[1], 12);
    else {
      expect(run).toThrow(InfiniteDivergenceError);
      expect(run).toThrow(/f′\(∞\) = ∞/);
    }
  });

  it("smoothing makes it finite: log p becomes log((1 − ε)·p + ε·a)", () => {
    const smoothed = estimator(
      { ...rejecting, logBase: [-2, -3] },
      { divergence: reverseKl, smoothing: 0.1 },
    );
    expect(smoothed.logRatios[0]).toBeCloseTo(-1 - Math.log(0.9 * Math.exp(-0.5) + 0.1 * Math.exp(-2)), 12);
    expect(smoothed.logRatios[1]).toBeCloseTo(-1 - Math.log(0.1 * Math.exp(-3)), 12);
    expect(() => estimator(rejecting, { divergence: reverseKl, smoothing: 0.1 })).toThrow(/logBase/);
  });

  it("a batch of rejected outcomes alone has no advantage left after leaving one out", () => {
    const none = { logPolicy: [-1, -2, -3], logScores: [-1 / 0, -1 / 0, -1 / 0], logPartition: 0 };
    const { coefficients } = estimator(none, { divergence: jensenShannon, baseline: "leave-one-out" });
    expect(Array.from(coefficients)).toEqual([0, 0, 0]);
  });

  it("refuses what can't be, by type", () => {
    const empty = { logPolicy: [], logScores: [], logPartition: 0 };
    expect(() => estimator(empty, { divergence: forwardKl })).toThrow(SampleCountError);
    const one = { logPolicy: [-1], logScores: [-1], logPartition: 0 };
    expect(() => estimator(one, { divergence: forwardKl, baseline: "leave-one-out" })).toThrow(
      SampleCountError,
    );
    expect(estimator(one, { divergence: forwardKl }).coefficients.length).toBe(1);
    expect(() => estimator({ ...one, logPartition: -1 / 0 }, { divergence: forwardKl })).toThrow(
      NoSupportError,
    );
    expect(() => estimator({ ...one, logScores: [Number.NaN] }, { divergence: forwardKl })).toThrow(/NaN/);
    expect(() => estimator({ ...one, logScores: [1, 2] }, { divergence: forwardKl })).toThrow(/2 numbers/);
    expect(() => dpgLoss(tf.tensor1d([1, 2]), [1])).toThrow(/expected \[1\]/);
  });

  it("counts contexts alike, however many samples each has", () => {
    const batch = {
      logPolicy: [-1, -1, -1],
      logScores: [-2, -2, -3],
      logPartition: [0, 0],
      groups: [0, 0, 1],
    };
    const { coefficients } = estimator(batch, { divergence: reverseKl });
    expect(Array.from(coefficients)).toEqual([0.75, 0.75, 3]);
  });

  it("the weights' statistics", () => {
    const batch = { logPolicy: [0, -1e3], logProposal: [-1, -1], logScores: [0, 0], logPartition: 0 };
    const { weights } = estimator(batch, { divergence: reverseKl });
    expect(weights).toEqual({ effectiveSamples: 1, largestShare: 1 });
  });
});
