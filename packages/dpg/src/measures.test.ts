import {
  alpha,
  exactDivergence,
  forwardKl,
  jensenShannon,
  pearsonChi2,
  reverseKl,
  totalVariation,
} from "@fdiv/divergences";
import { random } from "@fdiv/tensor-core";
import { describe, expect, it } from "vitest";
import {
  addDraws,
  estimateMeasures,
  estimatePartition,
  estimateToTarget,
  estimateUnderPolicy,
  knownPartition,
  NoSupportError,
  partitionOf,
  SampleCountError,
  tabularDistribution,
} from "./index.ts";

const policy = tabularDistribution([6, 5, 4, 3, 2, 1]);
const proposal = tabularDistribution([3, 3, 3, 2, 2, 2]);
const base = tabularDistribution([1, 1, 1, 1, 1, 1]);
const logScores = [0.5, 1, 0.2, 1.5, 0.3, 0.9];
const logZ = Math.log(logScores.reduce((sum, x) => sum + Math.exp(x), 0));
const logTarget = logScores.map((x) => x - logZ);

function draw(from: typeof policy, count: number, seed: number) {
  const contexts = new Array<undefined>(count).fill(undefined);
  const drawn = from.sample(contexts, random(seed)) as { outcomes: number[]; logProbs: number[] };
  const at = (table: ArrayLike<number>) => drawn.outcomes.map((x) => table[x]!);
  return {
    logPolicy: at(policy.table()),
    logScores: at(logScores),
    logProposal: drawn.logProbs,
    logBase: at(base.table()),
    outcomes: drawn.outcomes,
  };
}

/** Root mean square of (estimate − truth)/standard error over seeds: near 1 where errors are told right. */
function calibration(truth: number, estimate: (seed: number) => { value: number; standardError: number }) {
  let squares = 0;
  for (let seed = 0; seed < 40; seed++) {
    const { value, standardError } = estimate(seed);
    squares += ((value - truth) / standardError) ** 2;
  }
  return Math.sqrt(squares / 40);
}
const calibrated = (x: number) => {
  expect(x).toBeGreaterThan(0.7);
  expect(x).toBeLessThan(1.35);
};

describe("the partition function", () => {
  it("its standard error is that of log Ẑ", () => {
    calibrated(
      calibration(logZ, (seed) => {
        const estimate = estimatePartition(draw(proposal, 500, seed))[0]!;
        return { value: estimate.logZ, standardError: estimate.standardError };
      }),
    );
  });

  it("is told in log space, far beyond float64", () => {
    const [far] = estimatePartition({ logScores: [-2000, -2001], logProposal: [-5, -5] });
    expect(far!.logZ).toBeCloseTo(-1995 + Math.log((1 + Math.exp(-1)) / 2), 9);
    expect(far!.effectiveSamples).toBeCloseTo((1 + Math.exp(-1)) ** 2 / (1 + Math.exp(-2)), 9);
    expect(far!.interval[0]).toBeLessThan(far!.logZ);
  });

  it("of two draws: the sample variance, with n − 1", () => {
    const [two] = estimatePartition({ logScores: [0, Math.log(3)], logProposal: [0, 0] });
    expect(two!.logZ).toBeCloseTo(Math.log(2), 12);
    // Weights 1 and 3: mean 2, variance 2, of the mean 1.
    expect(two!.standardError).toBeCloseTo(0.5, 12);
  });

  it("is one a context, and adds up over batches whatever their proposals", () => {
    const [first, second] = estimatePartition({
      logScores: [0, 1, 2],
      logProposal: [0, 0, 0],
      groups: [0, 0, 1],
    });
    expect(first!.logZ).toBeCloseTo(Math.log((1 + Math.E) / 2), 12);
    expect(second!.logZ).toBe(2);
    expect(second!.standardError).toBe(Number.POSITIVE_INFINITY);
    const one = draw(proposal, 300, 1);
    const two = draw(base, 500, 2);
    const weights = (batch: typeof one) => batch.logScores.map((x, i) => x - batch.logProposal[i]!);
    const sums = addDraws(addDraws(undefined, weights(one)), weights(two));
    const together = partitionOf(JSON.parse(JSON.stringify(sums)));
    const [pooled] = estimatePartition({
      logScores: [...one.logScores, ...two.logScores],
      logProposal: [...one.logProposal, ...two.logProposal],
    });
    expect(together.logZ).toBeCloseTo(pooled!.logZ, 12);
    expect(together.standardError).toBeCloseTo(pooled!.standardError, 12);
    expect(together.effectiveSamples).toBeCloseTo(pooled!.effectiveSamples, 9);
  });

  it("with forgetting rests on fewer samples", () => {
    const weights = new Float64Array(100).map((_, i) => Math.log(1 + (i % 7)));
    let sums = addDraws(undefined, weights);
    for (let i = 0; i < 50; i++) sums = addDraws(sums, weights, 0.5);
    expect(partitionOf(sums).samples).toBeCloseTo(200, 6);
    const plain = partitionOf(addDraws(undefined, weights));
    expect(partitionOf(sums).logZ).toBeCloseTo(plain.logZ, 12);
    // Weights λᵏ with λ = ½ are worth three batches.
    expect(partitionOf(sums).standardError).toBeCloseTo(plain.standardError / Math.sqrt(3), 3);
  });

  it("of rejected samples alone is unknown, of none an error", () => {
    const [none] = estimatePartition({ logScores: [-1 / 0, -1 / 0], logProposal: [0, 0] });
    expect(none).toMatchObject({ logZ: -1 / 0, effectiveSamples: 0 });
    expect(none!.interval[1]).toBe(Number.POSITIVE_INFINITY);
    expect(() => estimatePartition({ logScores: [], logProposal: [] })).toThrow(SampleCountError);
  });
});

describe("divergences from samples of a proposal", () => {
  const known = [knownPartition(logZ)];
  it.each([forwardKl, reverseKl, jensenShannon, totalVariation, alpha(0.5), pearsonChi2])(
    "$name: right on and off the policy, with the right error",
    (d) => {
      const truth = exactDivergence(d, policy.table(), logTarget);
      for (const from of [policy, proposal])
        calibrated(
          calibration(truth, (seed) => estimateToTarget(d, { ...draw(from, 800, seed), partition: known })),
        );
    },
  );

  it("the measures, with Z estimated too", () => {
    const own = exactDivergence(reverseKl, policy.table(), base.table());
    const entropy = -policy.table().reduce((sum, x) => sum + Math.exp(x) * x, 0);
    for (const from of [policy, proposal]) {
      const measure = (seed: number) => {
        const batch = draw(from, 800, seed);
        return estimateMeasures({ ...batch, partition: estimatePartition(draw(proposal, 800, 1000 + seed)) });
      };
      calibrated(
        calibration(exactDivergence(reverseKl, policy.table(), logTarget), (s) => measure(s).reverseKl),
      );
      calibrated(
        calibration(exactDivergence(forwardKl, policy.table(), logTarget), (s) => measure(s).forwardKl),
      );
      calibrated(
        calibration(
          exactDivergence(jensenShannon, policy.table(), logTarget),
          (s) => measure(s).jensenShannon,
        ),
      );
      calibrated(calibration(own, (seed) => measure(seed).klToBase!));
      calibrated(calibration(entropy, (seed) => measure(seed).entropy));
    }
    const mean = policy.table().reduce((sum, x, k) => sum + Math.exp(x) * k, 0);
    calibrated(
      calibration(mean, (seed) => {
        const batch = draw(proposal, 800, seed);
        return estimateUnderPolicy(batch.outcomes, batch);
      }),
    );
  });

  it("self-normalised weights leave no error where the term is the same for all", () => {
    const logPolicy = [-1, -2, -0.3];
    const { value, standardError } = estimateToTarget(jensenShannon, {
      logPolicy,
      logProposal: [-1.5, -1, -0.9],
      logScores: logPolicy.map((x) => x - 0.7),
      partition: [knownPartition(0)],
    });
    expect(value).toBeCloseTo(jensenShannon.dual().value(-0.7), 12);
    expect(standardError).toBeLessThan(1e-12);
  });

  it("is never negative, infinite only where it is, and at any distance finite", () => {
    for (const d of [forwardKl, jensenShannon, totalVariation, alpha(0.5)]) {
      const far = { logPolicy: [-300, -1], logScores: [-101, -500], logProposal: [-100, -1] };
      const { value } = estimateToTarget(d, { ...far, partition: [knownPartition(0)] });
      expect(Number.isFinite(value)).toBe(true);
      expect(value).toBeGreaterThanOrEqual(0);
    }
    const zero = { logPolicy: [-1, -1], logScores: [-1, -1 / 0], partition: [knownPartition(-0.5)] };
    expect(estimateToTarget(reverseKl, zero).value).toBe(Number.POSITIVE_INFINITY);
    expect(estimateMeasures(zero).reverseKl.value).toBe(Number.POSITIVE_INFINITY);
    // TV of p = (e^{-1+.5}, 0) and π = (e⁻¹, …): one half of the second's mass alone is the policy's.
    expect(estimateToTarget(totalVariation, zero).value).toBeLessThan(1);
  });

  it("needs a Z that something is known of", () => {
    const batch = { logPolicy: [-1, -1], logScores: [-1, -1] };
    expect(() => estimateMeasures({ ...batch, partition: [] })).toThrow(/no estimate of its partition/);
    const none = estimatePartition({ logScores: [-1 / 0], logProposal: [0] });
    expect(() => estimateMeasures({ ...batch, partition: none })).toThrow(NoSupportError);
    expect(() => estimateMeasures({ logPolicy: [], logScores: [], partition: none })).toThrow(
      SampleCountError,
    );
  });
});
