import { gatherRows } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

/**
 * Logits over some of the vocabulary alone, such as the tokens that a task's answers are made of: softmax of them is the distribution given that
 * one of these tokens is said. Differentiable.
 *
 * @param logits [points, V]
 * @param ids the tokens, each below V
 * @returns [points, ids]
 * @throws RangeError when there is no id, or one beyond the vocabulary
 */
export function overTokens(logits: tf.Tensor2D, ids: readonly number[]): tf.Tensor2D {
  const wrong = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < logits.shape[1]));
  if (wrong !== undefined || ids.length === 0)
    throw new RangeError(
      `the answers' vocabulary holds ${wrong ?? "no token"}, expected ids below ${logits.shape[1]}.`,
    );
  return tf.transpose(gatherRows(tf.transpose(logits), tf.tensor1d([...ids], "int32"))) as tf.Tensor2D;
}
