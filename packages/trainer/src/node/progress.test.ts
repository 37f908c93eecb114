import { expect, it, vi } from "vitest";
import type { StepRow } from "../train.ts";
import { duration, progress } from "./progress.ts";

const row = (step: number, seconds: number): StepRow => ({
  step,
  epoch: step / 10,
  loss: 1 / step,
  learningRate: 0.1,
  gradientNorm: 1,
  tokensPerSecond: 1234.4,
  seconds,
});

const stream = (isTTY: boolean) => {
  const lines: string[] = [];
  return { lines, isTTY, write: (text: string) => lines.push(text) };
};

it("writes durations as a person does", () => {
  expect([0.4, 42, 59.6, 185, 3725, Number.POSITIVE_INFINITY].map(duration)).toEqual([
    "0s",
    "42s",
    "1m00s",
    "3m05s",
    "1h02m",
    "?",
  ]);
});

it("writes a line now and then, and the last one, where there is no terminal", () => {
  vi.useFakeTimers({ now: 0 });
  try {
    const out = stream(false);
    const shown = progress({ label: "f-DPO", stream: out as unknown as NodeJS.WriteStream, lineEvery: 10 });
    shown.onStart?.({ step: 2, steps: 10, resumed: true });
    for (let step = 3; step <= 10; step++) {
      vi.advanceTimersByTime(3000);
      shown.onStep?.(row(step, 3));
    }
    shown.onEvaluation?.(10, { accuracy: 0.123456 });
    shown.onEnd?.(undefined);
    expect(out.lines).toEqual([
      "f-DPO: continuing after step 2\n",
      "f-DPO: step 6/10  loss 0.1667  1234 tokens/s  12s left\n",
      "f-DPO: step 10/10  loss 0.1000  1234 tokens/s  0s left\n",
      "f-DPO: step 10  evaluation  accuracy 0.1235\n",
    ]);
  } finally {
    vi.useRealTimers();
  }
});
