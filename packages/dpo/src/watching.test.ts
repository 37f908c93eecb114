import { reverseKl } from "@fdiv/divergences";
import { expect, it } from "vitest";
import {
  bradleyTerryConfidence,
  choiceOutcomes,
  displacementAlarm,
  meanTokenLikelihood,
  optimalPolicy,
} from "./index.ts";

it("raises the displacement alarm after lasting falls only, and remembers over a restart", () => {
  const alarm = displacementAlarm({ drop: 2, patience: 2 });
  expect([-10, -13, -11, -12.5].map((x) => alarm.note(x))).toEqual([false, false, false, false]);
  const saved = JSON.parse(JSON.stringify(alarm.state()));
  const resumed = displacementAlarm({ drop: 2, patience: 2 });
  resumed.load(saved);
  expect(resumed.note(-13)).toBe(true);
  expect(resumed.raised).toBe(true);
});

it("keeps the two confidences apart", () => {
  expect(bradleyTerryConfidence([0, Math.log(3)])[1]).toBeCloseTo(0.75, 12);
  const { confidences, outcomes } = choiceOutcomes([Math.log(3), -Math.log(3)]);
  expect(confidences[0]).toBeCloseTo(0.75, 12);
  expect(confidences[1]).toBeCloseTo(0.75, 12);
  expect(outcomes).toEqual([1, 0]);
  // At the start every pair is a tie: a confidence of one half that is half right.
  expect(choiceOutcomes([0, 0])).toEqual({ confidences: [0.5, 0.5], outcomes: [0.5, 0.5] });
  expect(meanTokenLikelihood([Math.log(0.25)], [2])[0]).toBeCloseTo(0.5, 12);
});

it("under reverse KL the best policy is the reference tilted by exp(r/β)", () => {
  const reference = [0.7, 0.2, 0.1];
  const rewards = [0, 1, 3];
  const tilted = reference.map((p, i) => p * Math.exp(rewards[i]! / 0.7));
  const total = tilted.reduce((a, b) => a + b, 0);
  optimalPolicy(reference, rewards, 0.7, reverseKl).forEach((p, i) => {
    expect(p).toBeCloseTo(tilted[i]! / total, 10);
  });
});

it("wants a reference that gives every outcome some probability", () => {
  expect(() => optimalPolicy([0, 0.5, 0.5], [10, 0, 1], 1, reverseKl)).toThrow(/outcome 0 the probability 0/);
  expect(() => optimalPolicy([0.5, 0.6], [0, 1], 1, reverseKl)).toThrow(/sums to 1\.1/);
});
