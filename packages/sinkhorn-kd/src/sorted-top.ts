import { lazyGradient } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

/** The k largest of each row of [rows, V], falling; the gradient goes back to where they were. */
export function sortedTop(x: tf.Tensor2D, k: number): tf.Tensor2D {
  return lazyGradient(
    { x: x as tf.Tensor },
    (save) => {
      const { values, indices } = tf.topk(x, k, true);
      save([indices]);
      return values;
    },
    (dy, [indices]) => ({
      x: () => tf.scatterND(placesOf(indices!), tf.reshape(dy, [-1]), x.shape),
    }),
  ) as tf.Tensor2D;
}

/** Coordinates [rows·k, 2] of one index a column, int32. */
export function placesOf(indices: tf.Tensor): tf.Tensor2D {
  const [rows, k] = indices.shape as [number, number];
  const row = tf.tile(tf.expandDims(tf.range(0, rows, 1, "int32"), 1), [1, k]);
  return tf.stack([tf.reshape(row, [-1]), tf.reshape(indices, [-1])], 1) as tf.Tensor2D;
}
