import * as tf from "@tensorflow/tfjs-core";
import type { PairLogProbs, PreferenceLoss } from "./preference-loss.ts";

/**
 * What is worth watching of a batch, each summed over its pairs: rewards under the divergence that is trained, accuracies,
 * margins, log-ratios, log-probabilities of both sides, saturated scores.
 */
export function preferenceMetrics(
  result: PreferenceLoss,
  { policy }: PairLogProbs,
): Record<string, tf.Scalar> {
  const total = (x: tf.Tensor): tf.Scalar => tf.sum(x) as tf.Scalar;
  // A tie is half right: at the start every pair is one.
  const right = tf.add(tf.mul(0.5, tf.cast(tf.greater(result.margin, 0), "float32")), 0.5);
  const wrong = tf.mul(0.5, tf.cast(tf.less(result.margin, 0), "float32"));
  return {
    "rewards/chosen": total(result.chosenReward),
    "rewards/rejected": total(result.rejectedReward),
    "rewards/margins": total(result.margin),
    "rewards/accuracies": total(tf.sub(right, wrong)),
    "log-ratios/chosen": total(result.chosenLogRatio),
    "log-ratios/rejected": total(result.rejectedLogRatio),
    "logps/chosen": total(policy.chosen),
    "logps/rejected": total(policy.rejected),
    saturated: total(result.saturated),
  };
}
