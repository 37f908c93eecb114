import { random } from "@fdiv/tensor-core";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type SamplingLaw, sampleToken } from "./sampling.ts";

/** The law by sorting everything, as the definition says. */
function lawOf(logits: number[], { temperature, topK, topP }: SamplingLaw): number[] {
  const max = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp((logit - max) / temperature));
  let order = [...weights.keys()].sort((a, b) => weights[b]! - weights[a]! || a - b);
  if (topK > 0) order = order.slice(0, topK);
  const total = order.reduce((sum, id) => sum + weights[id]!, 0);
  const kept: number[] = [];
  let sum = 0;
  for (const id of order) {
    if (topP < 1 && kept.length > 0 && sum >= topP * total) break;
    kept.push(id);
    sum += weights[id]!;
  }
  return weights.map((weight, id) => (kept.includes(id) ? weight / sum : 0));
}

const laws = fc.record({
  temperature: fc.double({ min: 0.2, max: 3, noNaN: true }),
  topK: fc.integer({ min: 0, max: 12 }),
  topP: fc.oneof(fc.constant(1), fc.double({ min: 0.05, max: 0.99, noNaN: true })),
});
const anyLogits = fc.array(fc.integer({ min: -6, max: 6 }), { minLength: 1, maxLength: 30 });

describe("sampleToken", () => {
  it("reports the law's log-probability and draws where its distribution function says", () => {
    fc.assert(
      fc.property(anyLogits, laws, fc.double({ min: 0, max: 0.999999, noNaN: true }), (values, law, u) => {
        // Distinct, so that rounding does not decide which token is in the nucleus.
        const logits = values.map((value, i) => value + i * 0.0137);
        const expected = lawOf([...Float32Array.from(logits)], law);
        const { id, logProb, policyLogProb } = sampleToken(Float32Array.from(logits), law, u);
        expect(expected[id]).toBeGreaterThan(0);
        expect(logProb).toBeCloseTo(Math.log(expected[id]!), 9);
        const below = expected.slice(0, id).reduce((sum, p) => sum + p, 0);
        expect(u).toBeGreaterThan(below - 1e-9);
        expect(u).toBeLessThan(below + expected[id]! + 1e-9);
        const policy = lawOf([...Float32Array.from(logits)], { temperature: 1, topK: 0, topP: 1 });
        expect(policyLogProb).toBeCloseTo(Math.log(policy[id]!), 9);
      }),
      { numRuns: 500 },
    );
  });

  it("draws each token as often as it should", () => {
    const law = { temperature: 0.7, topK: 4, topP: 0.95 };
    const logits = [0.3, -1, 2, 1.1, 0.9, -3];
    const expected = lawOf([...Float32Array.from(logits)], law);
    const draws = random("frequencies");
    const counts = new Array<number>(6).fill(0);
    const runs = 20000;
    for (let i = 0; i < runs; i++) counts[sampleToken(Float32Array.from(logits), law, draws.next()).id]!++;
    counts.forEach((count, id) => {
      const p = expected[id]!;
      expect(Math.abs(count / runs - p)).toBeLessThanOrEqual(5 * Math.sqrt((p * (1 - p)) / runs));
    });
  });

  it("takes the first of the likeliest at temperature 0, never a forbidden one", () => {
    const greedy = { temperature: 0, topK: 0, topP: 1 };
    const logits = Float32Array.from([1, 4, 4, 0]);
    expect(sampleToken(logits, greedy, 0)).toMatchObject({ id: 1, logProb: 0 });
    expect(sampleToken(logits, greedy, 0, [1, 2]).id).toBe(0);
    const only = sampleToken(logits, { ...greedy, temperature: 1 }, 0.99, [0, 1, 3]);
    expect(only).toMatchObject({ id: 2, logProb: 0 });
    expect(() => sampleToken(logits, greedy, 0, [0, 1, 2, 3])).toThrow(/forbidden/);
  });

  it("stays exact at extreme logits and refuses what is no number", () => {
    const law = { temperature: 1, topK: 0, topP: 1 };
    expect(sampleToken(Float32Array.from([1e4, -1e4]), law, 0.5)).toMatchObject({ id: 0, logProb: 0 });
    expect(sampleToken(Float32Array.from([Number.NEGATIVE_INFINITY, 3]), law, 0)).toMatchObject({ id: 1 });
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY])
      for (const logits of [
        [bad, 1],
        [1, bad],
      ])
        expect(() => sampleToken(Float32Array.from(logits), law, 0.5)).toThrow(/not finite/);
    expect(() => sampleToken(Float32Array.of(Number.NEGATIVE_INFINITY), law, 0.5)).toThrow(/not finite/);
  });
});
