import * as tf from "@tensorflow/tfjs-core";
import { isHalfWeight, weightShape, widenKernel } from "./half-weights.ts";
import { checkIndices } from "./index-check.ts";
import { defineKernel, type Kernel } from "./kernel.ts";
import { checkRank, checkShape } from "./shape-check.ts";

/**
 * FdivScatterAdd: the sum of the rows [M, N] that share an id, [size, N].
 *
 * ScatterNd adds up duplicates on every backend and is linear in the rows; UnsortedSegmentSum, which TensorFlow.js uses for
 * the gradient of a gather, does not exist on wasm.
 */
export const scatterAddKernel: Kernel<{ rows: tf.Tensor; ids: tf.Tensor }, { size: number }> = defineKernel({
  name: "FdivScatterAdd",
  generic: ({ rows, ids }, { size }) => {
    const shape: [number, number] = [size, rows.shape[1]!];
    if (rows.size === 0 || size === 0) return tf.zeros(shape);
    return tf.scatterND(tf.reshape(ids, [-1, 1]) as tf.Tensor2D, rows, shape);
  },
  gradient: {
    inputs: ["ids"],
    outputs: [false],
    run: ([dy], [ids]) => ({ rows: () => embeddingKernel({ table: dy!, ids: ids! }, {})[0]! }),
  },
});

/** FdivEmbedding: the rows [M, N] of table [V, N] that ids [M] name. */
export const embeddingKernel: Kernel<{ table: tf.Tensor; ids: tf.Tensor }, object> = defineKernel({
  name: "FdivEmbedding",
  generic: ({ table, ids }) => {
    if (ids.size === 0) return tf.zeros([0, weightShape(table)[1]!]);
    const rows = tf.gather(table, ids as tf.Tensor1D);
    return isHalfWeight(table) ? widenKernel({ x: rows }, {})[0]! : rows;
  },
  gradient: {
    inputs: ["table", "ids"],
    outputs: [false],
    run: ([dy], [table, ids]) => ({
      table: () => scatterAddKernel({ rows: dy!, ids: ids! }, { size: table!.shape[0]! })[0]!,
    }),
  },
});

/**
 * The table's rows named by the ids.
 *
 * @param table [V, N]; a frozen one may be in bfloat16 (`halfWeight`)
 * @param ids int32, any shape [...]
 * @returns [..., N]
 * @throws when an id is outside [0, V) (on backends that would not notice)
 */
export function embedding(table: tf.Tensor, ids: tf.Tensor): tf.Tensor {
  checkRank("embedding", "table", table, 2);
  checkIndices("embedding", "ids", ids, table.shape[0]!);
  if (ids.rank === 1) return embeddingKernel({ table, ids }, {})[0]!;
  return tf.tidy(() => {
    const rows = embeddingKernel({ table, ids: tf.reshape(ids, [ids.size]) }, {})[0]!;
    return tf.reshape(rows, [...ids.shape, weightShape(table)[1]!]);
  });
}

/**
 * The rows of x that the index names, in the index's order; differentiable with respect to x.
 *
 * @param x [M, N]
 * @param index int32 [n]
 * @returns [n, N]
 * @throws when an index is outside [0, M) (on backends that would not notice)
 */
export function gatherRows(x: tf.Tensor, index: tf.Tensor): tf.Tensor {
  checkRank("gatherRows", "x", x, 2);
  checkRank("gatherRows", "index", index, 1);
  checkIndices("gatherRows", "index", index, x.shape[0]!);
  return embeddingKernel({ table: x, ids: index }, {})[0]!;
}

/**
 * The sum of the values in each segment; segments may come in any order and may be empty.
 *
 * @param values [n]
 * @param segments int32 [n]
 * @param count how many segments
 * @returns [count]
 * @throws when a segment is outside [0, count) (on backends that would not notice)
 */
export function segmentSum(values: tf.Tensor, segments: tf.Tensor, count: number): tf.Tensor1D {
  checkRank("segmentSum", "values", values, 1);
  checkShape("segmentSum", "segments", segments, values.shape, "one a value");
  checkIndices("segmentSum", "segments", segments, count);
  return tf.tidy(() => {
    const rows = tf.reshape(values, [values.size, 1]);
    return tf.reshape(scatterAddKernel({ rows, ids: segments }, { size: count })[0]!, [count]);
  });
}
