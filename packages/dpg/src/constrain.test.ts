import { random } from "@fdiv/tensor-core";
import { describe, expect, it } from "vitest";
import { fitDual } from "./dual.ts";
import {
  booleanScorer,
  type ConstraintOptions,
  InfeasibleMomentsError,
  type TableContext,
  tabularDistribution,
  target,
  UnseenFeatureError,
} from "./index.ts";

const isOne = (x: number) => x === 1;
const logit = (p: number) => Math.log(p / (1 - p));
/** A coin of this probability a context. */
const coins = (...probabilities: number[]) => tabularDistribution(probabilities.map((p) => [1 - p, p]));

/** Draws each outcome as often as its probability says, so that a fit has no sampling error. */
function stratified(...probabilities: number[]) {
  const table = coins(...probabilities);
  return {
    ...table,
    sample(contexts: readonly TableContext[]) {
      const seen = new Map<TableContext, number>();
      const total = contexts.length / new Set(contexts).size;
      const outcomes = contexts.map((context) => {
        const place = seen.get(context) ?? 0;
        seen.set(context, place + 1);
        return place < Math.round(probabilities[context ?? 0]! * total) ? 1 : 0;
      });
      return { outcomes, logProbs: outcomes.map((x, i) => table.table(contexts[i])[x]!) };
    },
  };
}

const fitCoin = async (
  base: ReturnType<typeof coins>,
  moment: number,
  options: ConstraintOptions<number, TableContext> = {},
) => (await target(base).constrain([{ feature: isOne, moment }], options)).fit;

describe("one binary feature", () => {
  it("λ = logit μ − logit μ₀: .1 → .5 is 2.19722", async () => {
    const fit = await fitCoin(stratified(0.1), 0.5, { samples: 1000 });
    expect(fit.coefficients[0]).toBeCloseTo(2.197225, 5);
    expect(fit.residuals[0]).toBeCloseTo(0, 9);
    expect(fit.baseMoments[0]).toBeCloseTo(0.1, 9);
    expect(fit.warnings).toEqual([]);
    // The delta method on logit μ̂₀: 1/√(n·μ₀(1 − μ₀)).
    expect(fit.standardErrors[0]).toBeCloseTo(1 / Math.sqrt(1000 * 0.1 * 0.9), 6);
    expect(fit.names).toEqual(["isOne"]);
  });

  it(".01 → .99 is 9.19024, far from where plain gradient steps stop", async () => {
    const fit = await fitCoin(stratified(0.01), 0.99, { samples: 51_200, maxSamples: 51_200 });
    expect(fit.coefficients[0]).toBeCloseTo(9.19024, 5);
  });

  it("from many samples, whose sums round more, as from few", async () => {
    const fit = await fitCoin(coins(0.1), 0.5, { samples: 65_536, maxSamples: 65_536 });
    expect(Math.abs(fit.coefficients[0]! - logit(0.5) + logit(0.1))).toBeLessThan(4 * fit.standardErrors[0]!);
    expect(fit.iterations).toBeLessThan(30);
  });

  it("from samples: within 4 of the standard errors that it reports, over seeds", async () => {
    let squares = 0;
    for (let seed = 0; seed < 20; seed++) {
      const fit = await fitCoin(coins(0.2), 0.6, { samples: 400, maxSamples: 400, seed });
      const z = (fit.coefficients[0]! - (logit(0.6) - logit(0.2))) / fit.standardErrors[0]!;
      expect(Math.abs(z)).toBeLessThan(4);
      squares += z * z;
    }
    expect(squares / 20).toBeGreaterThan(0.3);
    expect(squares / 20).toBeLessThan(2.2);
  });

  it("draws more while the fit rests on few effective samples, and says so when it may not", async () => {
    const grown = await fitCoin(coins(0.01), 0.99, { samples: 512, maxSamples: 65_536, seed: 3 });
    expect(grown.samples).toBeGreaterThan(512);
    expect(grown.effectiveSamples).toBeGreaterThan(100);
    expect(Math.abs(grown.coefficients[0]! - 9.19024)).toBeLessThan(4 * grown.standardErrors[0]!);
    const poor = await fitCoin(coins(0.01), 0.99, { samples: 512, maxSamples: 512, seed: 3 });
    expect(poor.warnings[0]).toMatch(/effective samples/);
  });

  it("adapts its proposal: later samples come from the target as fitted so far", async () => {
    let asked = 0;
    const base = coins(0.01);
    const fit = await fitCoin(base, 0.99, {
      samples: 512,
      seed: 3,
      effectiveSamples: 400,
      adapt: async (now) => {
        asked++;
        const { logScores } = await now.score([0, 1], [undefined, undefined]);
        return tabularDistribution(Array.from(logScores, Math.exp));
      },
    });
    expect(asked).toBeGreaterThan(0);
    expect(fit.samples).toBeLessThan(8192);
    expect(Math.abs(fit.coefficients[0]! - 9.19024)).toBeLessThan(4 * fit.standardErrors[0]!);
    expect(fit.standardErrors[0]).toBeLessThan(0.2);
  });

  it("a proposal that shows the feature fits what the base would never show", async () => {
    const fit = await fitCoin(coins(1e-6), 0.99, { proposal: coins(0.5), samples: 4000 });
    expect(Math.abs(fit.coefficients[0]! - (logit(0.99) - logit(1e-6)))).toBeLessThan(0.2);
  });
});

describe("contexts", () => {
  it("each is normalised by itself: (.01, .5) → .5 on average is 2.2976, not the pooled 1.07", async () => {
    const fit = await fitCoin(stratified(0.01, 0.5), 0.5, { contexts: [0, 1], samples: 2000 });
    expect(fit.coefficients[0]).toBeCloseTo(logit(0.99) / 2, 4);
    expect(fit.coefficients[0]).toBeCloseTo(2.2976, 3);
    const share = (p: number) => 1 / (1 + Math.exp(-logit(p) - fit.coefficients[0]!));
    expect((share(0.01) + share(0.5)) / 2).toBeCloseTo(0.5, 4);
    expect(Math.exp(fit.logPartition[1]!)).toBeCloseTo(0.5 + 0.5 * Math.exp(fit.coefficients[0]!), 3);
  });
});

describe("several features", () => {
  const base = tabularDistribution([1, 2, 3, 4, 5, 6, 7, 8].map((w) => w / 36));
  const odd = (x: number) => x % 2 === 1;
  const size = (x: number) => x;

  it("are met together, and the fitted target has the moments exactly", async () => {
    const fitted = await target(base).constrain(
      [
        { feature: odd, moment: 0.3 },
        { feature: size, moment: 2.5 },
      ],
      { samples: 20_000, maxSamples: 20_000, seed: 5 },
    );
    const support = base.support(undefined);
    const { logScores } = await fitted.score(
      support,
      support.map(() => undefined),
    );
    const masses = Array.from(logScores, Math.exp);
    const total = masses.reduce((a, b) => a + b, 0);
    const moment = (f: (x: number) => number) =>
      support.reduce((sum, x) => sum + (f(x) * masses[x]!) / total, 0);
    expect(Math.abs(moment((x) => Number(odd(x))) - 0.3)).toBeLessThan(4 * fitted.fit.momentErrors[0]!);
    expect(Math.abs(moment(size) - 2.5)).toBeLessThan(4 * fitted.fit.momentErrors[1]!);
    expect(fitted.fit.momentErrors[1]).toBeLessThan(0.05);
    expect(fitted.fit.iterations).toBeLessThan(20);
  });

  it("one said twice does no harm", async () => {
    const fitted = await target(base).constrain(
      [
        { feature: odd, moment: 0.3 },
        { feature: odd, moment: 0.3 },
      ],
      { samples: 2000, maxSamples: 2000 },
    );
    expect(fitted.fit.residuals[0]).toBeCloseTo(0, 6);
  });

  it("keeps the factors that were there", async () => {
    const fitted = await target(base)
      .times(booleanScorer((x: number) => x >= 4))
      .constrain([{ feature: odd, moment: 0.9 }], { samples: 4000, seed: 2 });
    const { logScores } = await fitted.score([0, 4, 5], [undefined, undefined, undefined]);
    expect(logScores[0]).toBe(Number.NEGATIVE_INFINITY);
    // 5, 7 of {4, 5, 6, 7} weigh 14 of 26.
    expect(Math.abs(fitted.fit.coefficients[0]! - (logit(0.9) - logit(14 / 26)))).toBeLessThan(
      4 * fitted.fit.standardErrors[0]!,
    );
  });
});

it("infeasible moments are proved so in a few steps, not by running out of them", () => {
  const one = Float64Array.of(0, 1, 0);
  const two = Float64Array.of(0, 0, 1);
  const fit = fitDual(
    { logWeights: new Float64Array(3), features: [one, two], contexts: [[0, 1, 2]] },
    [0.7, 0.6],
  );
  expect(fit.outcome).toBe("infeasible");
  expect(fit.iterations).toBeLessThan(20);
});

describe("what can't be fitted is said, by type", () => {
  const quick = { samples: 200, maxSamples: 400 };

  it("a feature that never occurs", async () => {
    await expect(fitCoin(coins(0), 0.5, quick)).rejects.toThrow(UnseenFeatureError);
    await expect(fitCoin(coins(0), 0.5, quick)).rejects.toThrow(/isOne is 0 in all of 400 samples/);
  });

  it("a moment outside what the outcomes can reach, or on its border", async () => {
    for (const moment of [1.5, -0.1, 1, 0])
      await expect(fitCoin(coins(0.4), moment, quick)).rejects.toThrow(InfeasibleMomentsError);
    await expect(fitCoin(coins(0.4), 1, quick)).rejects.toThrow(/times\(booleanScorer/);
  });

  it("moments that contradict each other", async () => {
    const base = tabularDistribution([1, 1, 1]);
    const both = target(base).constrain(
      [
        { feature: isOne, moment: 0.7 },
        { feature: (x: number) => x === 2, moment: 0.6 },
      ],
      quick,
    );
    await expect(both).rejects.toThrow(InfeasibleMomentsError);
    const border = target(base).constrain(
      [
        { feature: isOne, moment: 0.4 },
        { feature: (x: number) => x === 2, moment: 0.6 },
      ],
      quick,
    );
    await expect(border).rejects.toThrow(InfeasibleMomentsError);
  });

  it("scorers that reject everything, and options that can't be", async () => {
    const nothing = target(coins(0.4)).times(booleanScorer(() => false));
    await expect(nothing.constrain([{ feature: isOne, moment: 0.5 }], quick)).rejects.toThrow(/reject all/);
    await expect(target(coins(0.4)).constrain([])).rejects.toThrow(/no constraint/);
    await expect(fitCoin(coins(0.4), 0.5, { samples: 1 })).rejects.toThrow(/samples is 1/);
  });
});

it("draws by its seed alone", async () => {
  const fit = (seed: number) => fitCoin(coins(0.3), 0.5, { samples: 300, maxSamples: 300, seed });
  expect((await fit(7)).coefficients).toEqual((await fit(7)).coefficients);
  expect((await fit(7)).coefficients).not.toEqual((await fit(8)).coefficients);
  expect(random(7).fork("constrain").next()).not.toBe(random(8).fork("constrain").next());
});
