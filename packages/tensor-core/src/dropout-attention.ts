import * as tf from "@tensorflow/tfjs-core";
import { type AttentionOptions, attentionAttributes, byKeyHead, byToken, maskedScores } from "./attention.ts";
import { dropout } from "./dropout.ts";
import { matMul } from "./mat-mul.ts";
import { checkShape, printShape } from "./shape-check.ts";

/**
 * Attention with dropout on its weights, (softmax(scale·q·kᵀ + bias)·mask)·v, over the keys that `attention`'s layout lets each query see, one at least;
 * for training alone, made of TensorFlow.js operations, since it holds all weights in any case.
 *
 * @param mask of `dropoutMask`, [B, heads, T, S]
 * @param bias [heads, T, S]
 * @returns [B, T, heads·D]
 * @throws when the shapes or head counts do not fit
 */
export function dropoutAttention(
  {
    q,
    k,
    v,
    layout,
    mask,
    bias,
  }: Record<"q" | "k" | "v" | "layout" | "mask", tf.Tensor> & {
    bias?: tf.Tensor | undefined;
  },
  options: AttentionOptions,
): tf.Tensor {
  const attributes = attentionAttributes({ q, k, v, layout }, options);
  const { heads, kvHeads } = attributes;
  const [batch, time] = q.shape as [number, number];
  const keys = k.shape[1]!;
  const fitting = `q ${printShape(q.shape)} and k ${printShape(k.shape)}`;
  checkShape("dropoutAttention", "mask", mask, [batch, heads, time, keys], fitting);
  return tf.tidy(() => {
    const inputs = { q, k, layout, ...(bias && { bias }) };
    const scores = maskedScores(inputs, attributes, (a, b) => matMul(a, b, { transposeB: true }));
    const weights = dropout(tf.softmax(scores), mask);
    const grouped = tf.reshape(weights, [batch * kvHeads, (heads / kvHeads) * time, keys]);
    return byToken(matMul(grouped, byKeyHead(v, kvHeads, 1)), batch, time, heads);
  });
}
