import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { attention } from "./attention.ts";
import { biasedAttention } from "./biased-attention.ts";
import { dropout, dropoutMask } from "./dropout.ts";
import { dropoutAttention } from "./dropout-attention.ts";
import { random } from "./random.ts";
import { assertAllClose, assertNoLeak, gradientCheck, onEachBackend } from "./testing/index.ts";

const backends = ["cpu", "wasm", "tensorflow"];
const noBranch = 2 ** 31 - 1;
const noise = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, "float32", seed);
const streams = (count: number, seed: number | string = 1) =>
  Array.from({ length: count }, (_, i) => random(seed).fork(i));

describe("the mask", () => {
  it("drops the asked share, keeps the mean, and is a function of stream and place alone", () => {
    for (const rate of [0, 0.1, 0.5, 0.9]) {
      const mask = dropoutMask(streams(10), 20_001, rate);
      const zeros = mask.filter((value) => value === 0).length / mask.length;
      expect(Math.abs(zeros - rate)).toBeLessThan(4 * Math.sqrt((rate * (1 - rate)) / mask.length) + 1e-5);
      expect(mask.reduce((sum, value) => sum + value, 0) / mask.length).toBeCloseTo(1, 1);
    }
    const [short, long] = [5, 8].map((size) => dropoutMask(streams(2), size, 0.4)) as [
      Float32Array,
      Float32Array,
    ];
    expect([...short]).toEqual([...long.subarray(0, 5), ...long.subarray(8, 13)]);
  });

  it("refuses what is no rate", () => {
    for (const rate of [-0.1, 1, Number.NaN])
      expect(() => dropoutMask(streams(1), 4, rate)).toThrow(RangeError);
  });
});

it("multiplies, forwards and backwards, and leaks nothing", () =>
  onEachBackend(backends, async () => {
    const x = noise([3, 4], 1);
    const mask = tf.tensor2d(dropoutMask(streams(3), 4, 0.3), [3, 4]);
    assertAllClose(dropout(x, mask), tf.mul(x, mask));
    gradientCheck((given) => dropout(given, mask), [x]);
    expect(() => dropout(x, tf.ones([3]))).toThrow(/x's shape/);
    await assertNoLeak(() => dropout(x, mask).dispose());
  }));

describe.each([
  {
    name: "all of a row",
    rows: [
      [5, 5, 5],
      [5, 2, 5],
    ],
    time: 4,
    keys: 5,
    heads: 2,
    kvHeads: 2,
  },
  {
    name: "causal",
    rows: [
      [0, 0, noBranch],
      [0, 0, noBranch],
    ],
    time: 3,
    keys: 3,
    heads: 4,
    kvHeads: 2,
  },
])("attention that sees $name", ({ rows, time, keys, heads, kvHeads }) => {
  const options = { heads, kvHeads };
  const inputs = () => ({
    q: noise([2, time, 4 * heads], 1),
    k: noise([2, keys, 4 * kvHeads], 2),
    v: noise([2, keys, 4 * kvHeads], 3),
    bias: noise([heads, time, keys], 4),
    layout: tf.tensor2d(rows, [2, 3], "int32"),
  });

  it("is the fused one where nothing is dropped", () =>
    onEachBackend(backends, () => {
      const { q, k, v, bias, layout } = inputs();
      const mask = tf.ones([2, heads, time, keys]);
      const plain = dropoutAttention({ q, k, v, layout, mask }, options);
      assertAllClose(plain, attention(q, k, v, layout, options), { relative: 1e-4, absolute: 1e-5 });
      const biased = dropoutAttention({ q, k, v, layout, mask, bias }, options);
      const fused = biasedAttention(q, k, v, layout, bias, options);
      assertAllClose(biased, fused, { relative: 1e-4, absolute: 1e-5 });
    }));

  it("leaves out what is dropped, and has its gradient", () =>
    onEachBackend(backends, async () => {
      const { q, k, v, bias, layout } = inputs();
      // All keys but the first dropped, and that one kept whole: each query gets its weight times the first value.
      const first = tf.concat([tf.ones([2, heads, time, 1]), tf.zeros([2, heads, time, keys - 1])], 3);
      const out = dropoutAttention({ q, k, v: tf.ones(v.shape), layout, mask: first }, options);
      const whole = dropoutAttention(
        { q, k, v: tf.ones(v.shape), layout, mask: tf.onesLike(first) },
        options,
      );
      expect(tf.max(tf.sub(out, whole)).dataSync()[0]!).toBeLessThanOrEqual(1e-6);
      assertAllClose(whole, tf.onesLike(whole), { relative: 1e-5, absolute: 1e-6 });
      const size = time * keys;
      const mask = tf.tensor4d(dropoutMask(streams(2 * heads), size, 0.4), [2, heads, time, keys]);
      gradientCheck(
        (a, b, c, d) => dropoutAttention({ q: a, k: b, v: c, bias: d, layout, mask }, options),
        [q, k, v, bias],
      );
      await assertNoLeak(() => dropoutAttention({ q, k, v, layout, mask, bias }, options).dispose());
    }));
});
