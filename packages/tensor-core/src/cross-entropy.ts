import * as tf from "@tensorflow/tfjs-core";
import { checkIndices } from "./index-check.ts";
import { defineKernel } from "./kernel.ts";
import { stockRowLogSumExp } from "./log-softmax.ts";
import { checkRank, checkShape, printShape } from "./shape-check.ts";

/** The coordinates [M, 2] of one column a row, int32. */
export const columnOfEachRow = (columns: tf.Tensor): tf.Tensor2D =>
  tf.stack([tf.range(0, columns.size, 1, "int32"), columns], 1) as tf.Tensor2D;

/** FdivCrossEntropyGrad: dlogits = dnll·(softmax − one-hot). */
export const crossEntropyGradKernel = defineKernel<
  { dnll: tf.Tensor; logits: tf.Tensor; targets: tf.Tensor; logSumExp: tf.Tensor },
  object
>({
  name: "FdivCrossEntropyGrad",
  generic: ({ dnll, logits, targets, logSumExp }) => {
    if (logits.size === 0) return tf.zeros(logits.shape);
    const p = tf.exp(tf.sub(logits, tf.reshape(logSumExp, [-1, 1])));
    const hit = tf.scatterND(columnOfEachRow(targets), dnll, logits.shape as [number, number]);
    return tf.sub(tf.mul(p, tf.reshape(dnll, [-1, 1])), hit);
  },
});

/** FdivCrossEntropy: log Σ exp logits − logits[target] of each row, and the log-sum-exp. */
export const crossEntropyKernel = defineKernel<{ logits: tf.Tensor; targets: tf.Tensor }, object>({
  name: "FdivCrossEntropy",
  generic: ({ logits, targets }) => {
    if (logits.size === 0) return [tf.zeros([logits.shape[0]!]), tf.zeros([logits.shape[0]!])];
    const logSumExp = tf.reshape(stockRowLogSumExp(logits), [-1]);
    return [tf.sub(logSumExp, tf.gatherND(logits, columnOfEachRow(targets))), logSumExp];
  },
  gradient: {
    inputs: ["logits", "targets"],
    outputs: [false, true],
    run: ([dnll], [logits, targets, logSumExp]) => ({
      logits: () =>
        crossEntropyGradKernel(
          { dnll: dnll!, logits: logits!, targets: targets!, logSumExp: logSumExp! },
          {},
        )[0]!,
    }),
  },
});

/**
 * The negative log-likelihood of each row's target, log Σ exp logits − logits[target], in nats.
 *
 * @param logits [n, V]
 * @param targets int32 [n]
 * @returns [n]; the caller reduces
 * @throws when a target is outside [0, V) (on backends that would not notice)
 */
export function crossEntropy(logits: tf.Tensor, targets: tf.Tensor): tf.Tensor1D {
  checkRank("crossEntropy", "logits", logits, 2);
  const [rows, columns] = logits.shape as [number, number];
  checkShape("crossEntropy", "targets", targets, [rows], `one a row of logits ${printShape(logits.shape)}`);
  checkIndices("crossEntropy", "targets", targets, columns);
  return tf.tidy(() => crossEntropyKernel({ logits, targets }, {})[0] as tf.Tensor1D);
}
