import { embedding, weightShape } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

/**
 * The bucket of a distance key − query: in a bidirectional stack half of them for each sign, in a causal one all for keys before; of those
 * the first half for distances of their own, the rest in logarithmic steps up to `maxDistance`
 * (Raffel et al. 2019, https://arxiv.org/abs/1910.10683, §2.1).
 */
export function distanceBucket(
  distance: number,
  bidirectional: boolean,
  buckets: number,
  maxDistance: number,
): number {
  const count = bidirectional ? buckets / 2 : buckets;
  const start = bidirectional && distance > 0 ? count : 0;
  const away = bidirectional ? Math.abs(distance) : Math.max(-distance, 0);
  const exact = Math.floor(count / 2);
  if (away < exact) return start + away;
  // In float32, as it was trained: where a distance falls on a step's edge, rounding decides.
  const f = Math.fround;
  const ratio = f(f(Math.log(f(away / exact))) / f(Math.log(maxDistance / exact)));
  const step = exact + Math.trunc(f(ratio * (count - exact)));
  return start + Math.min(step, count - 1);
}

/**
 * The bias of every pair of positions, by head, from the table of a stack; differentiable.
 *
 * @param table [buckets, heads]
 * @param from position of the first query; keys begin at 0
 * @returns [heads, queries, keys]
 */
export function relativeBias(
  table: tf.Tensor,
  { from = 0, queries, keys }: { from?: number; queries: number; keys: number },
  { bidirectional, maxDistance }: { bidirectional: boolean; maxDistance: number },
): tf.Tensor3D {
  const [buckets, heads] = weightShape(table) as [number, number];
  const ids = new Int32Array(queries * keys);
  // Along a diagonal the distance is one; each is put into its bucket once.
  const nearest = -(from + queries - 1);
  const bucketOf = Array.from({ length: queries + keys - 1 }, (_, i) =>
    distanceBucket(nearest + i, bidirectional, buckets, maxDistance),
  );
  for (let t = 0; t < queries; t++)
    for (let j = 0; j < keys; j++) ids[t * keys + j] = bucketOf[j - (from + t) - nearest]!;
  const rows = embedding(table, tf.tensor1d(ids, "int32"));
  return tf.reshape(tf.transpose(rows, [1, 0]), [heads, queries, keys]) as tf.Tensor3D;
}
