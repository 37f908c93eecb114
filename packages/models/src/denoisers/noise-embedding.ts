import * as tf from "@tensorflow/tfjs-core";

export interface SinusoidalOptions {
  /** Cosines before sines. */
  flip: boolean;
  /** Subtracted from the half's size in the exponent. */
  frequencyShift: number;
}

/**
 * sin(t·ωᵢ) and cos(t·ωᵢ) with ωᵢ = 10000^{−i/(half − shift)} (Ho et al. 2020, https://arxiv.org/abs/2006.11239, as diffusers lays it out).
 *
 * @param t [batch]
 * @returns [batch, size]
 */
export function sinusoidalEmbedding(
  t: tf.Tensor1D,
  size: number,
  { flip, frequencyShift }: SinusoidalOptions,
): tf.Tensor2D {
  const half = size / 2;
  const frequencies = Float32Array.from({ length: half }, (_, i) =>
    Math.exp((-Math.log(10_000) * i) / (half - frequencyShift)),
  );
  const angles = tf.mul(tf.reshape(t, [-1, 1]), tf.tensor2d(frequencies, [1, half]));
  return tf.concat(
    flip ? [tf.cos(angles), tf.sin(angles)] : [tf.sin(angles), tf.cos(angles)],
    1,
  ) as tf.Tensor2D;
}

/** sin and cos of 2π·w·ln t with random frequencies w (Tancik et al. 2020, https://arxiv.org/abs/2006.10739); [batch, 2·frequencies]. */
export function fourierEmbedding(t: tf.Tensor1D, frequencies: tf.Tensor, flip: boolean): tf.Tensor2D {
  const angles = tf.mul(
    tf.mul(tf.reshape(tf.log(t), [-1, 1]), tf.reshape(frequencies, [1, -1])),
    2 * Math.PI,
  );
  return tf.concat(
    flip ? [tf.cos(angles), tf.sin(angles)] : [tf.sin(angles), tf.cos(angles)],
    1,
  ) as tf.Tensor2D;
}
