import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bootstrapInterval,
  brierScore,
  clusteredInterval,
  distinctN,
  effectiveSampleSize,
  expectedCalibrationError,
  meanInterval,
  ngramEntropy,
  normalQuantile,
  pairedDifference,
  selfBleu,
  studentQuantile,
  wilsonInterval,
} from "./index.ts";

const words = (...texts: string[]) => texts.map((text) => text.split(" "));
const corpus = fc.array(fc.array(fc.constantFrom("a", "b", "c", "d"), { minLength: 1, maxLength: 12 }), {
  minLength: 2,
  maxLength: 8,
});

describe("diversity", () => {
  it("counts different n-grams", () => {
    expect(distinctN(words("a b a b", "a b"), 1)).toBeCloseTo(2 / 6, 12);
    expect(distinctN(words("a b a b", "a b"), 2)).toBeCloseTo(2 / 4, 12);
    expect(distinctN([], 2)).toBe(0);
    expect(ngramEntropy(words("a b", "c d"), 1)).toBeCloseTo(Math.log(4), 12);
  });
  it("self-BLEU by hand: clipped precisions, brevity, half a match for none", () => {
    // Against "the cat sat": 1-grams 2 of 3, 2-grams 1 of 2; the other way the same; equal lengths.
    expect(selfBleu(words("the cat ran", "the cat sat"), 2)).toBeCloseTo(Math.sqrt((2 / 3) * (1 / 2)), 12);
    // "a a a" against "a": clipped to 1 of 3; "a" against "a a a": 1 of 1, brevity exp(1 − 3).
    expect(selfBleu(words("a a a", "a"), 1)).toBeCloseTo((1 / 3 + Math.exp(-2)) / 2, 12);
    expect(selfBleu(words("a b", "c d"), 2)).toBeCloseTo(Math.sqrt((0.5 / 2) * (0.5 / 1)), 12);
    expect(selfBleu(words("a b"), 2)).toBe(0);
  });
  it("self-BLEU is 1 for copies, at most 1, and the same in any order", () => {
    expect(selfBleu(words("a b c d e", "a b c d e"), 4)).toBeCloseTo(1, 12);
    fc.assert(
      fc.property(corpus, (texts) => {
        const value = selfBleu(texts, 3);
        expect(value).toBeGreaterThan(0);
        expect(value).toBeLessThanOrEqual(1 + 1e-12);
        expect(selfBleu([...texts].reverse(), 3)).toBeCloseTo(value, 9);
      }),
    );
  });
  it("self-BLEU's clipping equals the straightforward one", () => {
    fc.assert(
      fc.property(corpus, (texts) => {
        const count = (text: string[], word: string) => text.filter((w) => w === word).length;
        const slow =
          texts.reduce((sum, text, i) => {
            const others = texts.filter((_, j) => j !== i);
            const matches = [...new Set(text)].reduce(
              (m, word) =>
                m + Math.min(count(text, word), Math.max(...others.map((other) => count(other, word)))),
              0,
            );
            const gap = Math.min(...others.map((other) => Math.abs(other.length - text.length)));
            const closest = Math.min(
              ...others
                .map(({ length }) => length)
                .filter((length) => Math.abs(length - text.length) === gap),
            );
            const brevity = text.length < closest ? Math.exp(1 - closest / text.length) : 1;
            return sum + (brevity * Math.max(matches, 0.5)) / text.length;
          }, 0) / texts.length;
        expect(selfBleu(texts, 1)).toBeCloseTo(slow, 10);
      }),
    );
  });
});

describe("calibration", () => {
  it("by hand", () => {
    const { ece, bins } = expectedCalibrationError([0.95, 0.95, 0.15, 1], [true, false, false, true]);
    expect(bins[9]).toMatchObject({ count: 3 });
    expect(bins[9]!.accuracy).toBeCloseTo(2 / 3, 12);
    expect(ece).toBeCloseTo((3 / 4) * Math.abs(2 / 3 - 2.9 / 3) + (1 / 4) * 0.15, 12);
    expect(brierScore([0.5, 1], [true, false])).toBeCloseTo((0.25 + 1) / 2, 12);
    expect(() => expectedCalibrationError([1.1], [true])).toThrow(RangeError);
    expect(() => expectedCalibrationError([], [])).toThrow(RangeError);
  });
  it("is small for a calibrated forecaster and large for a boastful one", () => {
    const confidences = Array.from({ length: 5000 }, (_, i) => (i + 0.5) / 5000);
    const outcomes = confidences.map((p, i) => ((i * 2654435761) % 2 ** 32) / 2 ** 32 < p);
    expect(expectedCalibrationError(confidences, outcomes).ece).toBeLessThan(0.03);
    expect(
      expectedCalibrationError(
        confidences.map(() => 0.99),
        outcomes,
      ).ece,
    ).toBeGreaterThan(0.4);
  });
});

describe("intervals", () => {
  it("quantiles of the tables", () => {
    expect(normalQuantile(0.975)).toBeCloseTo(1.959964, 5);
    for (const [freedom, exact] of [
      [1, 12.7062],
      [2, 4.302653],
      [4, 2.776445],
      [30, 2.042272],
      [300, 1.967903],
    ] as const)
      expect(studentQuantile(0.975, freedom)).toBeCloseTo(exact, 3);
  });
  it("Wilson's, also at the ends", () => {
    const { value, low, high } = wilsonInterval(8, 10);
    expect([value, low, high].map((x) => Number(x.toFixed(4)))).toEqual([0.8, 0.4902, 0.9433]);
    expect(wilsonInterval(0, 10)).toMatchObject({ value: 0, low: 0 });
    expect(wilsonInterval(10, 10).high).toBe(1);
    expect(() => wilsonInterval(3, 2)).toThrow(RangeError);
  });
  it("Student's and the bootstrap's agree on a mean", () => {
    const values = Array.from({ length: 200 }, (_, i) => Math.sin(i * 1.7));
    const student = meanInterval(values);
    const mean = (sample: number[]) => sample.reduce((a, b) => a + b, 0) / sample.length;
    const boot = bootstrapInterval(values, mean, { seed: 1, resamples: 4000 });
    expect(boot.value).toBeCloseTo(student.value, 12);
    expect(boot.low).toBeCloseTo(student.low, 1);
    expect(boot.high).toBeCloseTo(student.high, 1);
    expect(bootstrapInterval(values, mean, { seed: 1 })).toEqual(
      bootstrapInterval(values, mean, { seed: 1 }),
    );
    expect(meanInterval([3])).toEqual({
      value: 3,
      low: Number.NEGATIVE_INFINITY,
      high: Number.POSITIVE_INFINITY,
    });
  });
  it("paired differences and effective samples", () => {
    expect(pairedDifference([true, false, false], [true, true, false]).value).toBeCloseTo(1 / 3, 12);
    expect(effectiveSampleSize([0, 0, 0, 0])).toBe(4);
    expect(effectiveSampleSize([1000, 0])).toBeCloseTo(1, 12);
  });
});

describe("clusters", () => {
  it("count as often as there are of them, not as often as they are sampled", () => {
    const values = [1, 2, 4, 3];
    const repeated = values.flatMap((value) => Array.from({ length: 5 }, () => value));
    const prompts = repeated.map((_, i) => Math.floor(i / 5));
    const clustered = clusteredInterval(repeated, prompts);
    const whole = meanInterval(values);
    expect(clustered.value).toBeCloseTo(whole.value, 12);
    expect(clustered.low).toBeCloseTo(whole.low, 12);
    expect(clustered.high).toBeCloseTo(whole.high, 12);
    expect(clusteredInterval(values, ["a", "b", "c", "d"])).toEqual(whole);
    expect(clusteredInterval(values, ["a", "a", "a", "a"])).toEqual(whole);
    expect(() => clusteredInterval(values, ["a"])).toThrow(/4 values and 1 clusters/);
  });
});
