import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  accuracy,
  answerExactMatch,
  answerF1,
  f1Score,
  groupExactMatch,
  macroF1,
  matthewsCorrelation,
  pearsonCorrelation,
  spearmanCorrelation,
} from "./index.ts";

interface Golden {
  classification: {
    predictions: number[];
    labels: number[];
    accuracy: number;
    f1: number;
    macroF1: number;
    matthews: number;
  }[];
  correlation: { x: number[]; y: number[]; pearson: number; spearman: number }[];
}
const golden = JSON.parse(
  readFileSync(new URL("./golden/task-metrics.json", import.meta.url), "utf8"),
) as Golden;

describe("metrics of the suites", () => {
  it("classification as scikit-learn", () => {
    for (const { predictions, labels, ...want } of golden.classification) {
      expect(accuracy(predictions, labels)).toBeCloseTo(want.accuracy, 12);
      expect(f1Score(predictions, labels)).toBeCloseTo(want.f1, 12);
      expect(macroF1(predictions, labels)).toBeCloseTo(want.macroF1, 12);
      expect(matthewsCorrelation(predictions, labels)).toBeCloseTo(want.matthews, 12);
    }
  });

  it("correlations as SciPy, ties included", () => {
    for (const { x, y, pearson, spearman } of golden.correlation) {
      expect(pearsonCorrelation(x, y)).toBeCloseTo(pearson, 10);
      expect(spearmanCorrelation(x, y)).toBeCloseTo(spearman, 10);
    }
    expect(pearsonCorrelation([1, 1], [1, 2])).toBeNaN();
    expect(spearmanCorrelation([1, Number.NaN], [1, 2])).toBeNaN();
  });

  it("Spearman sees order alone, Matthews turns with the predictions", () => {
    const values = fc.uniqueArray(fc.double({ min: -5, max: 5, noNaN: true }), {
      minLength: 3,
      maxLength: 20,
    });
    fc.assert(
      fc.property(values, (x) => {
        const y = [...x].reverse();
        const stretched = y.map((value) => Math.atan(value / 10));
        fc.pre(new Set(stretched).size === y.length);
        expect(spearmanCorrelation(x, stretched)).toBeCloseTo(spearmanCorrelation(x, y), 9);
      }),
    );
    const bits = fc.array(fc.tuple(fc.integer({ min: 0, max: 1 }), fc.integer({ min: 0, max: 1 })), {
      minLength: 1,
    });
    fc.assert(
      fc.property(bits, (pairs) => {
        const [p, y] = [pairs.map(([a]) => a), pairs.map(([, b]) => b)];
        const turned = p.map((one) => 1 - one);
        expect(matthewsCorrelation(turned, y)).toBeCloseTo(-matthewsCorrelation(p, y), 9);
      }),
    );
  });

  it("answers by hand: groups, words in common, articles and punctuation of no account", () => {
    expect(groupExactMatch([1, 0, 1, 1], [1, 0, 1, 0], ["a", "a", "b", "b"])).toBe(0.5);
    expect(answerF1("The Eiffel tower", ["Eiffel Tower!", "Paris"])).toBe(1);
    expect(answerF1("big red ball", ["red ball"])).toBeCloseTo(0.8, 12);
    expect(answerF1("red red", ["red ball"])).toBeCloseTo(0.5, 12);
    expect(answerF1("blue", ["red"])).toBe(0);
    expect(answerExactMatch(" an  U.S. president", ["US President"])).toBe(true);
    expect(answerExactMatch("president", ["US President"])).toBe(false);
  });

  it("refuses what does not fit", () => {
    expect(() => accuracy([1], [1, 0])).toThrow(/1 predictions for 2 labels/);
    expect(() => accuracy([], [])).toThrow(RangeError);
    expect(() => pearsonCorrelation([1], [1])).toThrow(RangeError);
    expect(() => groupExactMatch([1], [1], [])).toThrow(RangeError);
  });
});
