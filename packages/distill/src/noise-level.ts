import * as tf from "@tensorflow/tfjs-core";

/** One number an example, [batch], shaped to multiply a batch of the given rank. */
export function perExample(values: tf.Tensor, rank: number): tf.Tensor {
  return tf.reshape(values, [values.size, ...new Array<number>(rank - 1).fill(1)]);
}

/** x + σε. */
export function addNoise(x: tf.Tensor, sigma: tf.Tensor1D, noise: tf.Tensor): tf.Tensor {
  return tf.add(x, tf.mul(perExample(sigma, x.rank), noise));
}

/** ∇ log p(x; σ) = (D(x; σ) − x)/σ² (Karras et al. 2022, https://arxiv.org/abs/2206.00364, equation 3). */
export function scoreOf(denoised: tf.Tensor, x: tf.Tensor, sigma: tf.Tensor1D): tf.Tensor {
  return tf.div(tf.sub(denoised, x), tf.square(perExample(sigma, x.rank)));
}

/** The mean over all axes but the first, [batch]. */
export function exampleMean(x: tf.Tensor): tf.Tensor1D {
  return tf.mean(tf.reshape(x, [x.shape[0]!, -1]), 1);
}
