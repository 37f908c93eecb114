import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import {
  alpha,
  type Divergence,
  defineDivergence,
  divergence,
  divergenceFromGenerator,
  divergenceNames,
  forwardKl,
  jeffreys,
  jensenShannon,
  neymanChi2,
  normalised,
  pearsonChi2,
  reverseKl,
  scaled,
  softenedReverseKl,
  squaredHellinger,
  totalVariation,
} from "./index.ts";

const all: Divergence[] = [
  reverseKl,
  forwardKl,
  jensenShannon,
  squaredHellinger,
  neymanChi2,
  pearsonChi2,
  jeffreys,
  softenedReverseKl,
  totalVariation,
  alpha(0.3),
  alpha(-0.7),
  alpha(2.5),
  softenedReverseKl.dual(),
];
const parts = ["value", "score", "weight"] as const;
const logRatio = fc.double({ min: -20, max: 20, noNaN: true });
const infinity = Number.POSITIVE_INFINITY;

beforeAll(async () => {
  await tf.setBackend("cpu");
});

function expectClose(a: number, b: number, relative = 1e-11): void {
  expect(Math.abs(a - b)).toBeLessThanOrEqual(relative * Math.max(Math.abs(a), Math.abs(b)) + 1e-300);
}

function expectSame(left: (part: (typeof parts)[number], l: number) => number, right: typeof left): void {
  fc.assert(
    fc.property(logRatio, (l) => {
      for (const part of parts) expectClose(left(part, l), right(part, l));
    }),
  );
}

describe("identities", () => {
  it("Jensen–Shannon and softened reverse KL add up to reverse KL", () => {
    expectSame(
      (part, l) => jensenShannon[part](l) + softenedReverseKl[part](l),
      (part, l) => reverseKl[part](l),
    );
  });
  it("Jeffreys is both KLs", () => {
    expectSame(
      (part, l) => jeffreys[part](l),
      (part, l) => reverseKl[part](l) + forwardKl[part](l),
    );
  });
  it.each([
    [0.5, squaredHellinger, 2],
    [-1, pearsonChi2, 0.5],
    [2, neymanChi2, 0.5],
  ])("α = %d is a multiple of a named one", (a, named, factor) => {
    expectSame(
      (part, l) => alpha(a)[part](l),
      (part, l) => scaled(named, factor)[part](l),
    );
  });
  it("α is continuous at the KLs", () => {
    for (const l of [-3, -0.1, 1e-6, 2])
      for (const part of parts) {
        expect(alpha(1e-9)[part](l)).toBeCloseTo(reverseKl[part](l), 6);
        expect(alpha(1 - 1e-9)[part](l)).toBeCloseTo(forwardKl[part](l), 6);
      }
    expect(alpha(0)).toBe(reverseKl);
    expect(alpha(1)).toBe(forwardKl);
  });
  it("the dual swaps the sides: φ°(l) = eˡφ(−l), and is its own inverse", () => {
    for (const d of all) {
      fc.assert(
        fc.property(logRatio, (l) => {
          expectClose(d.dual().value(l), Math.exp(l) * d.value(-l), 1e-9);
          expectClose(d.dual().dual().score(l), d.score(l), 1e-9);
        }),
      );
      for (const side of [0, 1] as const)
        if (Number.isFinite(d.massLimits[side]))
          expect(d.dual().massLimits[1 - side]).toBeCloseTo(d.massLimits[side], 12);
        else expect(d.dual().massLimits[1 - side]).toBe(infinity);
    }
  });
  it("the score is the slope f′ and the weight the score's", () => {
    for (const d of all)
      fc.assert(
        fc.property(fc.double({ min: -8, max: 8, noNaN: true }), (l) => {
          fc.pre(d !== totalVariation || Math.abs(l) > 1e-3);
          const step = 1e-5;
          const slope = (d.value(l + step) - d.value(l - step)) / (2 * step);
          expect(slope / Math.exp(l)).toBeCloseTo(
            d.score(l),
            -Math.log10(1e-6 * (1 + Math.abs(d.score(l)))) - 1,
          );
          const rise = (d.score(l + step) - d.score(l - step)) / (2 * step);
          expect(Math.abs(rise - d.weight(l))).toBeLessThan(1e-6 * (1 + d.weight(l)));
        }),
      );
  });
});

describe("every divergence", () => {
  it.each(all.map((d) => [d.name, d] as const))(
    "%s is 0 at equality, never negative, with a rising score",
    (_, d) => {
      expect(d.value(0)).toBe(0);
      expect(d.score(0)).toBeCloseTo(0, 15);
      fc.assert(
        fc.property(logRatio, logRatio, (a, b) => {
          expect(d.value(a)).toBeGreaterThanOrEqual(0);
          expect(d.weight(a)).toBeGreaterThanOrEqual(0);
          const [low, high] = a < b ? [a, b] : [b, a];
          expect(d.score(low)).toBeLessThanOrEqual(d.score(high) + 1e-12 * Math.abs(d.score(high)));
        }),
      );
    },
  );

  it.each(all.map((d) => [d.name, d] as const))("%s reaches its limits", (_, d) => {
    expect(d.score(-infinity)).toBe(d.scoreLimits[0]);
    expect(d.score(infinity)).toBe(d.scoreLimits[1]);
    for (const [end, limit] of [
      [-30, d.scoreLimits[0]],
      [30, d.scoreLimits[1]],
    ] as const)
      if (Number.isFinite(limit)) expect(d.score(end)).toBeCloseTo(limit, 3);
      else expect(Math.abs(d.score(end))).toBeGreaterThan(20);
    expect(d.value(-infinity)).toBe(d.massLimits[0]);
    const [onTensor] = d.score(tf.tensor1d([-infinity])).dataSync();
    expect(onTensor).toBeCloseTo(d.scoreLimits[0], 5);
  });

  it.each(all.map((d) => [d.name, d] as const))("%s inverts its score", (_, d) => {
    if (d === totalVariation) return;
    fc.assert(
      fc.property(fc.double({ min: -8, max: 8, noNaN: true }), (l) => {
        expect(d.inverseScore(d.score(l))).toBeCloseTo(l, 5);
      }),
    );
    if (Number.isFinite(d.scoreLimits[1]))
      expect(() => d.inverseScore(d.scoreLimits[1] + 0.1)).toThrow(/no log-ratio has the score/);
    expect(d.inverseScore(d.scoreLimits[1])).toBe(infinity);
  });

  it.each(all.map((d) => [d.name, d] as const))("%s has analytic gradients on tensors", (_, d) => {
    const l = tf.tensor1d([-4, -0.5, 0.25, 3]);
    const each = Array.from(l.dataSync());
    const slope = (part: (typeof parts)[number]) =>
      Array.from(
        tf
          .grad((x) => tf.sum(d[part](x)))(l)
          .dataSync(),
      );
    const close = (found: number[], exact: number[]) =>
      expect(
        Math.max(...found.map((x, i) => Math.abs(x - exact[i]!) / (1 + Math.abs(exact[i]!)))),
      ).toBeLessThan(2e-5);
    close(
      slope("score"),
      each.map((x) => d.weight(x)),
    );
    close(
      slope("value"),
      each.map((x) => Math.exp(x) * d.score(x)),
    );
    const step = 1e-5;
    close(
      slope("weight"),
      each.map((x) => (d.weight(x + step) - d.weight(x - step)) / (2 * step)),
    );
  });
});

describe("beyond the largest exponent", () => {
  it("goes on linearly with the same value and slope, keeps a gradient, and counts", () => {
    for (const d of all) {
      const far = tf.tensor1d([-1e4, -200, -100, 100, 200, 1e4]);
      const score = d.score(far).dataSync();
      const weight = tf
        .grad((x) => tf.sum(d.score(x)))(far)
        .dataSync();
      for (const x of [...score, ...weight, ...d.value(far).dataSync()])
        expect(Number.isFinite(x)).toBe(true);
      const saturated = Array.from(d.saturated(far).dataSync());
      saturated.forEach((s, i) => {
        if (s) expect(weight[i]).toBeGreaterThan(0);
      });
    }
    expect(Array.from(forwardKl.saturated(tf.tensor1d([-41, -39, 1e4])).dataSync())).toEqual([1, 0, 0]);
    const [before, at, after] = forwardKl.score(tf.tensor1d([-40, -41, -42])).dataSync();
    expect((at! - before!) / (after! - at!)).toBeCloseTo(1, 5);
  });
});

describe("names", () => {
  it.each([
    ["reverse_kl", reverseKl],
    ["JS", jensenShannon],
    ["jensenShannon", jensenShannon],
    ["fkl", forwardKl],
    ["dual:reverse-kl", forwardKl],
    ["alpha:1", forwardKl],
    ["TV", totalVariation],
  ])("%s", (name, expected) => {
    expect(divergence(name)).toBe(expected);
  });
  it("parses a parameter and refuses what it does not know, with the nearest name", () => {
    expect(divergence("alpha:0.3").score(1)).toBe(alpha(0.3).score(1));
    expect(() => divergence("alpha:x")).toThrow(/"x" is no number/);
    expect(() => divergence("jensen-shanon")).toThrow(/Did you mean "jensen-shannon"/);
    expect(divergenceNames()).toContain("alpha:<number>");
    expect(() => alpha(Number.NaN)).toThrow(RangeError);
  });
});

describe("custom ones", () => {
  it("from value, score and weight work by name, on numbers and on tensors", () => {
    const triple = defineDivergence({
      name: "test-triple",
      value: (l, m) => m.scale(m.expm2(l), 3),
      score: (l, m) => m.scale(m.expm1(m.scale(l, -1)), -3),
      weight: (l, m) => m.scale(m.exp(m.scale(l, -1)), 3),
      valueAtZero: infinity,
      slopeAtInfinity: 3,
    });
    expect(divergence("test-triple")).toBe(triple);
    expect(triple.score(0.7)).toBeCloseTo(3 * forwardKl.score(0.7), 12);
    expect(triple.inverseScore(triple.score(-1.25))).toBeCloseTo(-1.25, 9);
    expect(triple.dual().score(0.5)).toBeCloseTo(3 * reverseKl.score(0.5), 12);
    expect(triple.dual().scoreLimits).toEqual([-infinity, infinity]);
    for (const l of [-1e4, -200, 1e4]) expect(Number.isFinite(triple.dual().value(l))).toBe(true);
    expect(triple.score(tf.scalar(0.7)).dataSync()[0]).toBeCloseTo(3 * forwardKl.score(0.7), 5);
    expect(() => defineDivergence({ ...triple.definition, name: "other", aliases: ["js"] })).toThrow(
      /taken by/,
    );
  });
  it("from a generator alone agree with the definition by parts", () => {
    const d = divergenceFromGenerator(
      {
        name: "test-js",
        generator: (u, m) => {
          const half = m.scale(m.shift(u, 1), 0.5);
          return m.subtract(m.multiply(u, m.log(u)), m.multiply(m.shift(u, 1), m.log(half)));
        },
      },
      { register: false },
    );
    for (const l of [-5, -0.3, 0.4, 6])
      for (const part of parts) {
        expect(d[part](l)).toBeCloseTo(jensenShannon[part](l), 9);
        expect(d[part](tf.scalar(l)).dataSync()[0]).toBeCloseTo(jensenShannon[part](l), 3);
      }
    expect(d.massLimits[0]).toBeCloseTo(Math.LN2, 9);
    expect(() => divergenceFromGenerator({ name: "concave", generator: (u, m) => m.log(u) })).toThrow(
      /not convex/,
    );
  });
  it.each([1.1, 1.001, 1.5, 3])("u^%d has a finite score at 0, and is told so", (power) => {
    const d = divergenceFromGenerator(
      { name: `power ${power}`, generator: (u, m) => m.power(u, power) },
      { register: false },
    );
    expect(d.scoreLimits[0]).toBeCloseTo(-power, 3);
    expect(d.scoreLimits[1]).toBe(infinity);
  });
  it("scores that fall without bound, however slowly, are told so", () => {
    const slow = divergenceFromGenerator(
      { name: "slow", generator: (u, m) => m.multiply(u, m.log(u)) },
      { register: false },
    );
    expect(slow.scoreLimits).toEqual([-infinity, infinity]);
    const dual = defineDivergence(
      { ...jeffreys.definition, name: "jeffreys without a dual", aliases: [], dual: undefined },
      { register: false },
    ).dual();
    expect(dual.scoreLimits).toEqual([-infinity, infinity]);
    const finite = defineDivergence(
      { ...totalVariation.definition, name: "variation without a dual", aliases: [], dual: undefined },
      { register: false },
    ).dual();
    expect(finite.scoreLimits[0]).toBeCloseTo(-0.5, 6);
  });
  it("normalised ones curve alike", () => {
    for (const d of all)
      if (d.curvature > 0) expect(normalised(d).curvature).toBeCloseTo(1, 12);
      else expect(() => normalised(d)).toThrow(/no curvature/);
  });
});

it("has the weight's limits", () => {
  expect(alpha(1e-4).weight(-infinity)).toBe(infinity);
  expect(alpha(1e-4).weight(infinity)).toBe(0);
  expect(reverseKl.weight(-infinity)).toBe(1);
  expect(jensenShannon.weight(-infinity)).toBe(1);
  expect(totalVariation.weight(infinity)).toBe(0);
});

it("registers each kernel once, however often a divergence is asked for", () => {
  const count = () => tf.getKernelsForBackend("cpu").length;
  const x = tf.scalar(0.5);
  const use = () => {
    for (const d of [alpha(0.37), alpha(0.37).dual(), jeffreys.dual(), normalised(alpha(0.37))])
      d.score(x).dispose();
  };
  use();
  const before = count();
  for (let i = 0; i < 20; i++) use();
  expect(count()).toBe(before);
  alpha(0.123456).score(0.5);
  expect(count()).toBe(before);
});

it("leaks no tensors", () => {
  const l = tf.tensor1d([-1, 0, 2]);
  const before = tf.memory().numTensors;
  for (const d of all) for (const part of [...parts, "saturated"] as const) d[part](l).dispose();
  expect(tf.memory().numTensors).toBe(before);
});
