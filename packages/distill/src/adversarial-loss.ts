import { softplus } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

const overHeads = (x: tf.Tensor): tf.Tensor1D => (x.rank === 2 ? tf.mean(x, 1) : x) as tf.Tensor1D;

/**
 * softplus(logit_fake) + softplus(−logit_real), each a mean over heads; least at logit = log p_t − log q_t.
 *
 * @param logits [batch] or [batch, heads] of noised real and generated examples
 * @returns [batch]
 */
export function discriminatorLoss(logits: { real: tf.Tensor; generated: tf.Tensor }): tf.Tensor1D {
  tf.util.assertShapesMatch(logits.real.shape, logits.generated.shape, "discriminatorLoss: ");
  return tf.add(overHeads(softplus(logits.generated)), overHeads(softplus(tf.neg(logits.real))));
}

/** softplus(−logit), the mean over heads: what the generator adds to distribution matching in DMD2 and f-distill; [batch]. */
export function generatorAdversarialLoss(logits: tf.Tensor): tf.Tensor1D {
  return overHeads(softplus(tf.neg(logits)));
}
