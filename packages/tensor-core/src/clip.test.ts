import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { clipByGlobalNorm, clipByGlobalNormAsync } from "./clip.ts";
import { assertNoLeak, onEachBackend } from "./testing/index.ts";

const gradients = (...values: number[][]) => new Map(values.map((value, i) => [`g${i}`, tf.tensor1d(value)]));

it("measures one norm over all gradients and scales down only", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], () => {
    const g = gradients([3, 0], [4]);
    expect(clipByGlobalNorm(g, 1)).toEqual({ norm: 5, scale: 0.2 });
    expect(clipByGlobalNorm(g, 5)).toEqual({ norm: 5, scale: 1 });
    expect(clipByGlobalNorm(g, 100)).toEqual({ norm: 5, scale: 1 });
    expect(clipByGlobalNorm(g, Number.POSITIVE_INFINITY)).toEqual({ norm: 5, scale: 1 });
    expect(clipByGlobalNorm(gradients([0], []), 1)).toEqual({ norm: 0, scale: 1 });
    expect(clipByGlobalNorm(new Map(), 1)).toEqual({ norm: 0, scale: 1 });
  }));

it("says the same asynchronously", async () => {
  await tf.setBackend("cpu");
  const g = gradients([3, 0], [4]);
  expect(await clipByGlobalNormAsync(g, 1)).toEqual(clipByGlobalNorm(g, 1));
  await assertNoLeak(async () => void (await clipByGlobalNormAsync(g, 1)));
});

it("reports a gradient that is not finite and stops the step", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], () => {
    expect(clipByGlobalNorm(gradients([1], [Number.NaN, 2]), 1)).toEqual({ norm: Number.NaN, scale: 0 });
    expect(clipByGlobalNorm(gradients([-Infinity]), 1)).toEqual({ norm: Infinity, scale: 0 });
  }));

it("leaks nothing and refuses a bound that is none", async () => {
  await tf.setBackend("cpu");
  const g = gradients([1, 2], [3]);
  await assertNoLeak(() => void clipByGlobalNorm(g, 1));
  expect(() => clipByGlobalNorm(g, 0)).toThrow(/max is 0/);
  expect(() => clipByGlobalNorm(g, Number.NaN)).toThrow(/max is NaN/);
});
