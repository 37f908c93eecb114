import { largestExponent } from "@fdiv/divergences";
import * as tf from "@tensorflow/tfjs-core";

/** eˣ, going on in a straight line beyond e⁴⁰: neither infinite nor without a gradient. */
export function continuedExp(x: tf.Tensor): tf.Tensor {
  const border = largestExponent.tensor;
  return tf.mul(tf.exp(tf.minimum(x, border)), tf.add(1, tf.relu(tf.sub(x, border))));
}

function checkShapes(what: string, lists: Record<string, tf.Tensor | undefined>): void {
  const [first] = Object.values(lists);
  for (const [name, tensor] of Object.entries(lists))
    if (tensor && (tensor.shape.length !== 1 || tensor.shape[0] !== first!.shape[0]))
      throw new RangeError(`${what}: ${name} has shape [${tensor.shape}], expected [${first!.shape[0]}].`);
}

function checkClip(what: string, clip: number, most = Number.POSITIVE_INFINITY): void {
  if (!(clip > 0 && clip < most))
    throw new RangeError(`${what}: clip is ${clip}, expected a number in (0, ${most}).`);
}

/** A batch's PPO loss and how far the policy has moved. */
export interface PpoLoss {
  /** [n]; the caller takes the mean. */
  loss: tf.Tensor1D;
  /** 1 where the clipped ratio is the one that counts, so that there is no gradient, [n]. */
  clipped: tf.Tensor1D;
  /** k3 of old‖new, r − 1 − log r, [n]: a non-negative estimate of KL(π_old‖π). */
  approximateKl: tf.Tensor1D;
}

/**
 * PPO's clipped surrogate, max(−A·r, −A·clip(r, 1 − ε, 1 + ε)), r = π/π_old (Schulman et al. 2017, arXiv 1707.06347, equation 7), of tokens or of
 * whole sequences. Per entry: the caller reduces.
 *
 * @param batch.logProbs log π, [n], differentiable
 * @param batch.oldLogProbs log π_old, as it was when the samples were drawn, [n]
 * @param batch.advantages [n], constants
 * @param options.clip ε, default .2
 * @throws RangeError on shapes or ε
 */
export function ppoLoss(
  batch: { logProbs: tf.Tensor1D; oldLogProbs: tf.Tensor1D; advantages: tf.Tensor1D },
  options: { clip?: number } = {},
): PpoLoss {
  const { logProbs, oldLogProbs, advantages } = batch;
  const { clip = 0.2 } = options;
  checkShapes("ppoLoss", { logProbs, oldLogProbs, advantages });
  checkClip("ppoLoss", clip, 1);
  const logRatio = tf.sub(logProbs, oldLogProbs);
  const ratio = continuedExp(logRatio);
  const free = tf.neg(tf.mul(advantages, ratio));
  const held = tf.neg(tf.mul(advantages, tf.clipByValue(ratio, 1 - clip, 1 + clip)));
  return {
    loss: tf.maximum(free, held) as tf.Tensor1D,
    clipped: tf.cast(tf.greater(held, free), "float32") as tf.Tensor1D,
    approximateKl: tf.sub(tf.sub(ratio, 1), logRatio) as tf.Tensor1D,
  };
}

/**
 * The value head's loss, ½·max((V − R)², (V_clip − R)²), V_clip = V_old + clip(V − V_old, −ε, ε); without clipping where `clip` is null. Per entry.
 *
 * @param batch.values V, [n], differentiable
 * @param batch.oldValues V when the samples were drawn, [n]
 * @param batch.returns R, [n]
 * @param options.clip ε, default .2
 */
export function valueLoss(
  batch: { values: tf.Tensor1D; oldValues: tf.Tensor1D; returns: tf.Tensor1D },
  options: { clip?: number | null } = {},
): tf.Tensor1D {
  const { values, oldValues, returns } = batch;
  const { clip = 0.2 } = options;
  checkShapes("valueLoss", { values, oldValues, returns });
  const free = tf.square(tf.sub(values, returns));
  if (clip === null) return tf.mul(0.5, free) as tf.Tensor1D;
  checkClip("valueLoss", clip);
  const near = tf.add(oldValues, tf.clipByValue(tf.sub(values, oldValues), -clip, clip));
  return tf.mul(0.5, tf.maximum(free, tf.square(tf.sub(near, returns)))) as tf.Tensor1D;
}
