import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { attention, attentionKernel } from "./attention.ts";
import { assertAllClose, assertNoLeak, gradientCheck, onEachBackend } from "./testing/index.ts";

const backends = ["cpu", "wasm", "tensorflow"];
const noBranch = 2 ** 31 - 1;
const noise = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, "float32", seed);
const layoutOf = (rows: number[][]) => tf.tensor2d(rows, [rows.length, 3], "int32");

interface Case {
  q: tf.Tensor;
  k: tf.Tensor;
  v: tf.Tensor;
  layout: number[][];
  heads: number;
  kvHeads: number;
  window: number;
}

/** Who sees whom, as ARCHITECTURE.md words it. */
function sees(a: number, j: number, [, prefixEnd, branchStart]: number[], window: number): boolean {
  if (window > 0 && j <= a - window) return false;
  return a < branchStart! ? j <= a : j < prefixEnd! || (j >= branchStart! && j <= a);
}

/** Attention one query at a time, in double precision. */
function oracle({ q, k, v, layout, heads, kvHeads, window }: Case) {
  const [batch, time, width] = q.shape as [number, number, number];
  const [keys, size] = [k.shape[1]!, width / heads];
  const [qs, ks, vs] = [q.dataSync(), k.dataSync(), v.dataSync()];
  const out = new Array<number>(q.size).fill(0);
  const logSumExp: number[] = [];
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const group = Math.floor((h * kvHeads) / heads);
      const key = (j: number, d: number) => ((b * keys + j) * kvHeads + group) * size + d;
      for (let t = 0; t < time; t++) {
        const query = ((b * time + t) * heads + h) * size;
        const dots = Array.from({ length: keys }, (_, j) => {
          let dot = 0;
          for (let d = 0; d < size; d++) dot += qs[query + d]! * ks[key(j, d)]!;
          return sees(layout[b]![0]! + t, j, layout[b]!, window) ? Math.exp(dot / Math.sqrt(size)) : 0;
        });
        const total = dots.reduce((sum, x) => sum + x, 0);
        logSumExp.push(Math.log(total));
        for (let d = 0; d < size && total > 0; d++)
          for (let j = 0; j < keys; j++) out[query + d]! += (dots[j]! / total) * vs[key(j, d)]!;
      }
    }
  }
  return { out, logSumExp };
}

const cases: Record<string, Case> = {
  "causal, one head a key head": {
    ...{ q: noise([2, 4, 6], 1), k: noise([2, 4, 6], 2), v: noise([2, 4, 6], 3) },
    ...{ layout: [0, 1].map(() => [0, 0, noBranch]), heads: 2, kvHeads: 2, window: 0 },
  },
  "two branches behind a shared prefix, grouped heads": {
    ...{ q: noise([2, 6, 8], 4), k: noise([2, 6, 4], 5), v: noise([2, 6, 4], 6) },
    layout: [
      [0, 2, 4],
      [0, 3, 3],
    ],
    ...{ heads: 4, kvHeads: 2, window: 0 },
  },
  "a cache behind the queries, ragged, with a window": {
    ...{ q: noise([2, 2, 4], 7), k: noise([2, 7, 2], 8), v: noise([2, 7, 2], 9) },
    layout: [
      [5, 0, noBranch],
      [2, 1, 3],
    ],
    ...{ heads: 2, kvHeads: 1, window: 3 },
  },
  "a query that sees nothing": {
    ...{ q: noise([1, 2, 2], 10), k: noise([1, 2, 2], 11), v: noise([1, 2, 2], 12) },
    ...{ layout: [[-1, 0, noBranch]], heads: 1, kvHeads: 1, window: 0 },
  },
};

for (const [title, example] of Object.entries(cases)) {
  const { q, k, v, heads, kvHeads, window } = example;

  it(`matches an oracle: ${title}`, () =>
    onEachBackend(backends, () => {
      const layout = layoutOf(example.layout);
      const scale = 1 / Math.sqrt(q.shape[2]! / heads);
      const [out, logSumExp] = attentionKernel({ q, k, v, layout }, { heads, kvHeads, scale, window });
      const expected = oracle(example);
      assertAllClose(out!, expected.out);
      assertAllClose(logSumExp!, expected.logSumExp);
    }));

  it(`has the right gradient: ${title}`, () =>
    onEachBackend(["cpu", "wasm", "tensorflow"], () => {
      const layout = layoutOf(example.layout);
      gradientCheck((x, y, z) => attention(x!, y!, z!, layout, { heads, kvHeads, window }), [q, k, v]);
    }));
}

it("never reads the keys it does not see", async () => {
  await tf.setBackend("cpu");
  const { q, k, v, layout, heads, kvHeads, window } =
    cases["a cache behind the queries, ragged, with a window"]!;
  const options = { heads, kvHeads, window };
  const poison = (x: tf.Tensor) =>
    tf.tensor(
      x.dataSync().map((value, i) => (i >= 8 && i < 14 ? value : i < 14 ? 1e4 : value)),
      x.shape,
    );
  const first = (t: tf.Tensor) => tf.slice(t, [0, 1, 0], [1, 1, 4]);
  const clean = attention(q, k, v, layoutOf(layout), options);
  assertAllClose(first(attention(q, poison(k), poison(v), layoutOf(layout), options)), first(clean));
});

it("stays finite under extreme scores, and takes an empty cache and an empty batch", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], () => {
    const q = tf.tensor3d([1e4, -1e4, 100, 100], [1, 2, 2]);
    const layout = layoutOf([[0, 0, noBranch]]);
    const f = (x: tf.Tensor) => attention(x, q, q, layout, { heads: 1, kvHeads: 1 });
    for (const t of [f(q), tf.grad(f)(q)]) expect(Array.from(t.dataSync()).every(Number.isFinite)).toBe(true);
    const options = { heads: 1, kvHeads: 1 };
    const none = tf.zeros([1, 0, 2]);
    assertAllClose(attention(q, none, none, layout, options), [0, 0, 0, 0]);
    const empty = tf.zeros([0, 2, 2]);
    expect(attention(empty, empty, empty, tf.zeros([0, 3], "int32"), options).shape).toEqual([0, 2, 2]);
  }));

it("leaks nothing", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], async () => {
    const { q, k, v, heads, kvHeads, window } = cases["two branches behind a shared prefix, grouped heads"]!;
    const layout = layoutOf([
      [0, 2, 4],
      [0, 3, 3],
    ]);
    const f = (x: tf.Tensor, y: tf.Tensor, z: tf.Tensor) =>
      attention(x, y, z, layout, { heads, kvHeads, window });
    await assertNoLeak(() => tf.dispose(tf.grads((x, y, z) => f(x!, y!, z!))([q, k, v])));
  }));

it("names what does not fit", () => {
  const [q, k] = [tf.zeros([1, 2, 8]), tf.zeros([1, 3, 4])];
  const layout = tf.zeros([1, 3], "int32");
  const options = { heads: 4, kvHeads: 2 };
  expect(() => attention(q, k, k, layout, { heads: 3, kvHeads: 1 })).toThrow(/q \[1, 2, 8\].*3 heads/);
  expect(() => attention(q, k, k, layout, { heads: 4, kvHeads: 3 })).toThrow(/over 3 key heads/);
  expect(() => attention(q, q, k, layout, options)).toThrow(
    /attention: k has shape \[1, 2, 8\], expected \[1, 2, 4\]/,
  );
  expect(() => attention(q, k, k, tf.zeros([1, 3]), options)).toThrow(/layout .*float32, expected int32/);
});
