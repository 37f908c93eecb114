import * as tf from "@tensorflow/tfjs-core";
import { checkIndices } from "./index-check.ts";
import { defineKernel } from "./kernel.ts";
import { checkRank, checkShape, checkType, printShape } from "./shape-check.ts";

/** FdivCacheWrite: cache[b, layout[b, 0] + t, :] = rows[b, t, :], in place; no output. */
export const cacheWriteKernel = defineKernel<
  { cache: tf.Tensor; rows: tf.Tensor; layout: tf.Tensor },
  object
>({
  name: "FdivCacheWrite",
  generic: ({ cache, rows, layout }) => {
    if (rows.size === 0) return [];
    const [batch, time, width] = rows.shape as [number, number, number];
    const token = tf.reshape(tf.range(0, time, 1, "int32"), [1, time]);
    const slot = tf.add(tf.slice(layout, [0, 0], [-1, 1]), token);
    const row = tf.tile(tf.reshape(tf.range(0, batch, 1, "int32"), [batch, 1]), [1, time]);
    const indices = tf.reshape(tf.stack([row, slot], 2), [batch * time, 2]);
    const updates = tf.reshape(rows, [batch * time, width]);
    (cache as tf.Variable).assign(tf.tensorScatterUpdate(cache, indices, updates));
    return [];
  },
});

/**
 * Writes the new tokens' keys or values behind those that a cache already holds; not differentiable.
 *
 * @param cache a tf.Variable [B, S, W], changed in place
 * @param rows [B, T, W]
 * @param layout int32 [B, 3]; its first column is the slot of each row's first token
 * @throws when the shapes do not fit or a row would end beyond the cache (on backends that would not notice)
 */
export function cacheWrite(cache: tf.Variable, rows: tf.Tensor, layout: tf.Tensor): void {
  checkRank("cacheWrite", "cache", cache, 3);
  checkRank("cacheWrite", "rows", rows, 3);
  const [batch, slots, width] = cache.shape as [number, number, number];
  const time = rows.shape[1]!;
  const fits = `cache ${printShape(cache.shape)}`;
  checkShape("cacheWrite", "rows", rows, [batch, time, width], fits);
  checkShape("cacheWrite", "layout", layout, [batch, 3], fits);
  checkType("cacheWrite", "layout", layout, "int32");
  tf.tidy(() => {
    const offsets = tf.slice(layout, [0, 0], [-1, 1]);
    checkIndices("cacheWrite", `layout's offsets for ${time} tokens`, offsets, slots - time + 1);
  });
  cacheWriteKernel({ cache, rows, layout }, {});
}
