import * as tf from "@tensorflow/tfjs-core";

/**
 * Which keys each query sees, 1 or 0, [batch, 1, time, keys].
 *
 * Query t of row b has the absolute index a = offset + t. It sees keys j ≤ a when a < branchStart, else
 * j < prefixEnd or branchStart ≤ j ≤ a; a window w > 0 asks for j > a − w as well.
 *
 * @param layout int32 [batch, 3]: offset, prefixEnd, branchStart
 */
export function attentionMask(layout: tf.Tensor, time: number, keys: number, window: number): tf.Tensor {
  const column = (i: number) => tf.reshape(tf.slice(layout, [0, i], [-1, 1]), [-1, 1, 1, 1]);
  const queries = tf.add(column(0), tf.reshape(tf.range(0, time, 1, "int32"), [1, 1, time, 1]));
  const j = tf.reshape(tf.range(0, keys, 1, "int32"), [1, 1, 1, keys]);
  const branchStart = column(2);
  const inBranch = tf.greaterEqual(queries, branchStart);
  const ownRun = tf.logicalAnd(
    tf.lessEqual(j, queries),
    tf.logicalOr(tf.logicalNot(inBranch), tf.greaterEqual(j, branchStart)),
  );
  const sharedPrefix = tf.logicalAnd(inBranch, tf.less(j, column(1)));
  const visible = tf.logicalOr(ownRun, sharedPrefix);
  const near =
    window > 0 ? tf.logicalAnd(visible, tf.greater(j, tf.sub(queries, tf.scalar(window, "int32")))) : visible;
  return tf.cast(near, "float32");
}
