import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { expect, it } from "vitest";
import { embedding, gatherRows, scatterAddKernel, segmentSum } from "./embedding.ts";
import { assertAllClose, assertNoLeak, gradientCheck, onEachBackend } from "./testing/index.ts";

const backends = ["cpu", "wasm", "tensorflow"];
const ints = (values: number[]) => tf.tensor1d(values, "int32");

it("looks rows up and adds their gradients where an id comes twice", () =>
  onEachBackend(backends, () => {
    const table = tf.tensor2d([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    const ids = tf.tensor2d([[2, 0, 2]], [1, 3], "int32");
    const y = embedding(table, ids);
    expect(y.shape).toEqual([1, 3, 2]);
    assertAllClose(y, [5, 6, 1, 2, 5, 6]);
    const gradient = tf.grad((t) => embedding(t, ids))(table, tf.tensor3d([1, 2, 3, 4, 5, 6], [1, 3, 2]));
    assertAllClose(gradient, [3, 4, 0, 0, 6, 8]);
    assertAllClose(gatherRows(table, ints([1, 1])), [3, 4, 3, 4]);
  }));

it("has the right gradient, and so has its gradient", () =>
  onEachBackend(backends, () => {
    const ids = ints([1, 3, 1, 0]);
    gradientCheck((t) => gatherRows(t!, ids), [tf.randomNormal([4, 3], 0, 1, "float32", 1)]);
    gradientCheck(
      (rows) => scatterAddKernel({ rows: rows!, ids }, { size: 5 })[0]!,
      [tf.randomNormal([4, 3], 0, 1, "float32", 2)],
    );
    gradientCheck((v) => segmentSum(v!, ids, 5), [tf.randomNormal([4], 0, 1, "float32", 3)]);
  }));

it("sums segments in any order, empty ones to zero", () =>
  onEachBackend(backends, () => {
    assertAllClose(segmentSum(tf.tensor1d([1, 2, 4, 8]), ints([2, 0, 2, 0]), 4), [10, 0, 5, 0]);
    assertAllClose(segmentSum(tf.tensor1d([-Infinity, 2]), ints([0, 1]), 2), [-Infinity, 2]);
  }));

it("preserves the total, whatever the segments", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], () => {
    const pairs = fc.array(fc.tuple(fc.integer({ min: -99, max: 99 }), fc.nat(6)), { minLength: 1 });
    fc.assert(
      fc.property(pairs, (entries) => {
        const values = tf.tensor1d(entries.map(([value]) => value));
        const sums = segmentSum(values, ints(entries.map(([, segment]) => segment)), 7);
        assertAllClose(tf.sum(sums), tf.sum(values));
      }),
      { numRuns: 30 },
    );
  }));

it("takes no ids at all, and leaks nothing", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], async () => {
    const table = tf.ones([3, 2]);
    expect(embedding(table, tf.zeros([0, 4], "int32")).shape).toEqual([0, 4, 2]);
    assertAllClose(tf.grad((t) => gatherRows(t, ints([])))(table), [0, 0, 0, 0, 0, 0]);
    assertAllClose(segmentSum(tf.zeros([0]), ints([]), 2), [0, 0]);
    expect(segmentSum(tf.zeros([0]), ints([]), 0).shape).toEqual([0]);
    const ids = ints([0, 2]);
    await assertNoLeak(() => tf.dispose(tf.grad((t) => gatherRows(t, ids))(table)));
  }));

it("refuses ids outside the table before the backend reads or writes there", () =>
  onEachBackend(["cpu", "wasm"], () => {
    const table = tf.zeros([3, 2]);
    expect(() => embedding(table, ints([0, 3]))).toThrow(/embedding: ids\[1\] is 3, expected .*\[0, 3\)/);
    expect(() => gatherRows(table, ints([-1]))).toThrow(/gatherRows: index\[0\] is -1/);
    expect(() => segmentSum(tf.zeros([1]), ints([2]), 2)).toThrow(/segmentSum: segments\[0\] is 2/);
    expect(() => embedding(table, tf.zeros([2]))).toThrow(/embedding: ids \[2\] has dtype float32/);
    expect(() => segmentSum(tf.zeros([2]), ints([0]), 2)).toThrow(/segments has shape \[1\], expected \[2\]/);
  }));
