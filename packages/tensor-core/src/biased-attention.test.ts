import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { attention } from "./attention.ts";
import { biasedAttention } from "./biased-attention.ts";
import { assertAllClose, assertNoLeak, gradientCheck, onEachBackend } from "./testing/index.ts";

const backends = ["cpu", "wasm", "tensorflow"];
const noBranch = 2 ** 31 - 1;
const noise = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, "float32", seed);
const layoutOf = (rows: number[][]) => tf.tensor2d(rows, [rows.length, 3], "int32");

const cases = {
  "every query sees its row's own keys": {
    ...{ q: noise([2, 4, 8], 1), k: noise([2, 5, 8], 2), v: noise([2, 5, 8], 3), bias: noise([2, 4, 5], 4) },
    layout: [
      [5, 5, 5],
      [5, 2, 5],
    ],
    ...{ heads: 2, kvHeads: 2 },
  },
  "causal, behind a cache, grouped heads": {
    ...{ q: noise([2, 2, 16], 5), k: noise([2, 6, 8], 6), v: noise([2, 6, 8], 7), bias: noise([4, 2, 6], 8) },
    layout: [
      [3, 0, noBranch],
      [1, 0, noBranch],
    ],
    ...{ heads: 4, kvHeads: 2 },
  },
  "a query that sees nothing": {
    ...{
      q: noise([1, 2, 4], 9),
      k: noise([1, 2, 4], 10),
      v: noise([1, 2, 4], 11),
      bias: noise([1, 2, 2], 12),
    },
    layout: [[-1, 0, noBranch]],
    ...{ heads: 1, kvHeads: 1 },
  },
};

for (const [title, { q, k, v, bias, layout, heads, kvHeads }] of Object.entries(cases)) {
  it(`adds the bias to the scores: ${title}`, () =>
    onEachBackend(backends, () => {
      // A bias of its own for each key is a product with one more dimension: q' = [q, row of the bias], k' = [k, one-hot].
      const [batch, time, width] = q.shape as [number, number, number];
      const keys = k.shape[1]!;
      const size = width / heads;
      const wide = (x: tf.Tensor, count: number, more: tf.Tensor) => {
        const split = tf.reshape(x, [batch, x.shape[1]!, count, size]);
        return tf.reshape(tf.concat([split, more], 3), [batch, x.shape[1]!, count * (size + keys)]);
      };
      const rows = tf.tile(tf.reshape(tf.transpose(bias, [1, 0, 2]), [1, time, heads, keys]), [
        batch,
        1,
        1,
        1,
      ]);
      const hot = tf.tile(tf.reshape(tf.eye(keys), [1, keys, 1, keys]), [batch, 1, kvHeads, 1]);
      const options = { heads, kvHeads, scale: 1 };
      const expected = attention(
        wide(q, heads, rows),
        wide(k, kvHeads, hot),
        wide(v, kvHeads, tf.zerosLike(hot)),
        layoutOf(layout),
        options,
      );
      const own = tf.slice(
        tf.reshape(expected, [batch, time, heads, size + keys]),
        [0, 0, 0, 0],
        [-1, -1, -1, size],
      );
      const got = biasedAttention(q, k, v, layoutOf(layout), bias, options);
      assertAllClose(got, tf.reshape(own, q.shape), { absolute: 1e-5 });
    }));

  it(`has the right gradient: ${title}`, () =>
    onEachBackend(backends, () => {
      gradientCheck(
        (a, b, c, d) => biasedAttention(a!, b!, c!, layoutOf(layout), d!, { heads, kvHeads }),
        [q, k, v, bias],
      );
    }));
}

it("refuses a bias that does not fit, and leaves nothing behind", async () => {
  await tf.setBackend("cpu");
  const { q, k, v, bias, layout } = cases["every query sees its row's own keys"];
  const options = { heads: 2, kvHeads: 2 };
  expect(() => biasedAttention(q, k, v, layoutOf(layout), tf.zeros([2, 5, 4]), options)).toThrow(
    /biasedAttention: bias/,
  );
  await assertNoLeak(() => {
    const { value, grads } = tf.valueAndGrads((a, d) =>
      tf.sum(biasedAttention(a!, k, v, layoutOf(layout), d!, options)),
    )([q, bias]);
    tf.dispose([value, ...grads]);
  });
});
