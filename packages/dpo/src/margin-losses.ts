import { softplus } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

// Losses of the margin Δ = β[s(l_w) − s(l_r)], elementwise; sigmoid(Δ) is the Bradley–Terry probability of the pair as labelled.

function checkSmoothing(what: string, epsilon: number): void {
  if (!(epsilon >= 0 && epsilon < 0.5))
    throw new RangeError(
      `${what}: label smoothing is ${epsilon}, expected a share of flipped labels in [0, 0.5).`,
    );
}

/** −log sigmoid(Δ); with smoothing ε the mean under labels flipped with probability ε, (1 − ε)·softplus(−Δ) + ε·softplus(Δ) (cDPO). */
export function sigmoidLoss(margin: tf.Tensor1D, labelSmoothing = 0): tf.Tensor1D {
  checkSmoothing("sigmoidLoss", labelSmoothing);
  const kept = softplus(tf.neg(margin));
  if (labelSmoothing === 0) return kept as tf.Tensor1D;
  return tf.add(tf.mul(1 - labelSmoothing, kept), tf.mul(labelSmoothing, softplus(margin)));
}

/**
 * The unbiased loss under labels flipped with probability ε, [(1 − ε)·softplus(−Δ) − ε·softplus(Δ)]/(1 − 2ε)
 * (robust DPO, arXiv 2403.00409).
 */
export function robustLoss(margin: tf.Tensor1D, labelSmoothing: number): tf.Tensor1D {
  checkSmoothing("robustLoss", labelSmoothing);
  const kept = tf.mul((1 - labelSmoothing) / (1 - 2 * labelSmoothing), softplus(tf.neg(margin)));
  return tf.sub(kept, tf.mul(labelSmoothing / (1 - 2 * labelSmoothing), softplus(margin)));
}

/** max(0, 1 − Δ) (SLiC, arXiv 2305.10425, on DPO's margin). */
export function hingeLoss(margin: tf.Tensor1D): tf.Tensor1D {
  return tf.relu(tf.sub(1, margin));
}

/** (Δ/β − 1/(2β))² (IPO, arXiv 2310.12036, equation 17); derived for reverse KL. */
export function ipoLoss(margin: tf.Tensor1D, beta: number): tf.Tensor1D {
  return tf.square(tf.sub(tf.div(margin, beta), 1 / (2 * beta)));
}
