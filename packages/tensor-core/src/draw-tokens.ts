import * as tf from "@tensorflow/tfjs-core";
import { defineKernel, hasFastKernel } from "./kernel.ts";
import { logSoftmax } from "./log-softmax.ts";
import { checkRank, checkShape } from "./shape-check.ts";

/** The halves of 53-bit uniform numbers, as a kernel takes them: [R, 2] int32, u = (high·2³² + low)/2⁵³ of unsigned halves. */
function halves(uniforms: Float64Array): tf.Tensor2D {
  const words = new Int32Array(2 * uniforms.length);
  uniforms.forEach((u, i) => {
    const whole = Math.floor(u * 2 ** 53);
    words[2 * i] = Math.floor(whole / 2 ** 32);
    words[2 * i + 1] = (whole % 2 ** 32) | 0;
  });
  return tf.tensor2d(words, [uniforms.length, 2], "int32");
}

/** FdivDrawTokens: [R, 3] of each row's drawn id, its log-probability under the tempered law, and under the softmax. */
export const drawTokensKernel = defineKernel<
  { logits: tf.Tensor; uniforms: tf.Tensor },
  { temperature: number }
>({
  name: "FdivDrawTokens",
  generic({ logits, uniforms }, { temperature }) {
    const [rows, size] = logits.shape as [number, number];
    const policy = logSoftmax(logits);
    const law = temperature === 0 ? policy : logSoftmax(tf.div(logits, temperature));
    const [high, low] = tf.split(tf.cast(uniforms, "float32"), 2, 1);
    const unsigned = tf.add(low!, tf.mul(tf.cast(tf.less(low!, 0), "float32"), 2 ** 32));
    const u = tf.add(tf.mul(high!, 2 ** -21), tf.mul(unsigned, 2 ** -53));
    const reached = tf.cumsum(tf.exp(law), 1);
    const inverted = tf.sum(tf.cast(tf.lessEqual(reached, u), "int32"), 1);
    const drawn =
      temperature === 0 ? tf.argMax(logits, 1) : tf.minimum(inverted, tf.scalar(size - 1, "int32"));
    const hot = tf.cast(tf.oneHot(drawn as tf.Tensor1D, size), "bool");
    const chosen = (x: tf.Tensor) => tf.sum(tf.where(hot, x, tf.zerosLike(x)), 1, true);
    const own = temperature === 0 ? tf.zeros([rows, 1]) : chosen(law);
    return tf.concat([tf.reshape(tf.cast(drawn, "float32"), [rows, 1]), own, chosen(policy)], 1);
  },
});

/** Whether the backend draws where the logits are; elsewhere they are read first. */
export const drawsTokens = (): boolean => hasFastKernel("FdivDrawTokens");

/**
 * Draws one id a row from softmax(logits/temperature) by inverting its cumulative distribution; the likeliest at temperature 0.
 *
 * @param logits [R, V], V at most 2²⁴
 * @param uniforms [R] in [0, 1)
 * @returns [R, 3]: id, its log-probability under the law drawn from (0 at temperature 0), and under softmax(logits); NaN where the
 * logits are not finite
 * @throws when the shapes do not fit or the temperature is negative
 */
export function drawTokens(
  logits: tf.Tensor,
  uniforms: Float64Array,
  { temperature = 1 }: { temperature?: number } = {},
): tf.Tensor2D {
  checkRank("drawTokens", "logits", logits, 2);
  const words = halves(uniforms);
  checkShape("drawTokens", "uniforms", words, [logits.shape[0]!, 2], "one a row of logits");
  if (!(temperature >= 0)) throw new Error(`drawTokens: temperature is ${temperature}, expected at least 0.`);
  const draws = drawTokensKernel({ logits, uniforms: words }, { temperature })[0] as tf.Tensor2D;
  words.dispose();
  return draws;
}
