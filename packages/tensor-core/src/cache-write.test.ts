import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { cacheWrite } from "./cache-write.ts";
import { assertAllClose, assertNoLeak, onEachBackend } from "./testing/index.ts";

const layoutOf = (...offsets: number[]) =>
  tf.tensor2d(
    offsets.map((offset) => [offset, 0, 2 ** 31 - 1]),
    [offsets.length, 3],
    "int32",
  );
const cacheOf = (batch: number, slots: number, width: number) =>
  tf.tidy(() => tf.variable(tf.fill([batch, slots, width], -1)));

it("writes each row's tokens at its own offset and keeps the rest", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], () => {
    const cache = cacheOf(2, 4, 2);
    cacheWrite(cache, tf.tensor3d([1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 2]), layoutOf(0, 2));
    assertAllClose(cache, [1, 2, 3, 4, -1, -1, -1, -1, -1, -1, -1, -1, 5, 6, 7, 8]);
    cacheWrite(cache, tf.tensor3d([9, 9, 0, 0], [2, 1, 2]), layoutOf(3, 0));
    assertAllClose(cache, [1, 2, 3, 4, -1, -1, 9, 9, 0, 0, -1, -1, 5, 6, 7, 8]);
    cacheWrite(cache, tf.zeros([2, 0, 2]), layoutOf(4, 4));
    assertAllClose(tf.sum(cache), 50);
    cache.dispose();
  }));

it("leaks nothing", () =>
  onEachBackend(["cpu", "wasm", "tensorflow"], async () => {
    const cache = cacheOf(1, 3, 2);
    const [rows, layout] = [tf.ones([1, 2, 2]), layoutOf(1)];
    await assertNoLeak(() => cacheWrite(cache, rows as tf.Tensor, layout));
    cache.dispose();
  }));

it("refuses what would be written beyond the cache or does not fit", async () => {
  await tf.setBackend("cpu");
  const cache = cacheOf(1, 3, 2);
  expect(() => cacheWrite(cache, tf.ones([1, 2, 2]), layoutOf(2))).toThrow(
    /cacheWrite: layout's offsets for 2 tokens\[0\] is 2, expected an index in \[0, 2\)/,
  );
  expect(() => cacheWrite(cache, tf.ones([1, 1, 2]), layoutOf(-1))).toThrow(/is -1/);
  expect(() => cacheWrite(cache, tf.ones([1, 1, 3]), layoutOf(0))).toThrow(/rows has shape \[1, 1, 3\]/);
  expect(() => cacheWrite(cache, tf.ones([1, 1, 2]), layoutOf(0, 0))).toThrow(/layout has shape \[2, 3\]/);
});
