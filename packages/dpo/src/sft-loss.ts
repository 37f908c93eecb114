import * as tf from "@tensorflow/tfjs-core";

/**
 * The mean token loss of completions, −log π(y)/|y|, to be added to a preference loss so that the chosen completion's
 * probability is held up (arXiv 2404.19733).
 *
 * @param logProbs [batch], sums in nats
 * @param lengths [batch], tokens
 */
export function sftLoss(logProbs: tf.Tensor1D, lengths: tf.Tensor1D): tf.Tensor1D {
  return tf.neg(tf.div(logProbs, lengths));
}
