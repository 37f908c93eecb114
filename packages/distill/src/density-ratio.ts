import * as tf from "@tensorflow/tfjs-core";

export interface DensityRatioOptions {
  /** Mean logits are cut to ±this before exp; default 10. */
  logitClamp?: number;
  /** Ratios are cut to this range; default [.1, 20]. */
  range?: readonly [low: number, high: number];
}

export interface DensityRatio {
  /** r = p_t/q_t, teacher over generator, [batch]. */
  ratio: tf.Tensor1D;
  /** 1 where a clamp changed the number, else 0; [batch]. */
  clampedLogits: tf.Tensor1D;
  clampedRatios: tf.Tensor1D;
}

const differs = (a: tf.Tensor, b: tf.Tensor): tf.Tensor1D =>
  tf.cast(tf.notEqual(a, b), "float32") as tf.Tensor1D;

function checkClamps({ logitClamp = 10, range: [low, high] = [0.1, 20] }: DensityRatioOptions): void {
  if (!(logitClamp > 0 && logitClamp <= 80))
    throw new RangeError(`densityRatio: logitClamp is ${logitClamp}, expected a number in (0, 80].`);
  if (!(low > 0 && high > low && high < Number.POSITIVE_INFINITY))
    throw new RangeError(`densityRatio: the range is [${low}, ${high}], expected 0 < low < high.`);
}

/**
 * The ratio teacher/generator from a discriminator's logits in f-distill's order: mean over heads → clamp to ±10 → exp → clamp to [.1, 20]
 * (https://arxiv.org/abs/2502.15681, section 4; the best discriminator's logit is log p_t − log q_t).
 *
 * @param logits [batch] or [batch, heads], of generated examples
 * @throws RangeError on clamps or shapes
 */
export function densityRatio(logits: tf.Tensor, options: DensityRatioOptions = {}): DensityRatio {
  checkClamps(options);
  const { logitClamp = 10, range = [0.1, 20] } = options;
  if (logits.rank !== 1 && logits.rank !== 2)
    throw new RangeError(
      `densityRatio: logits have shape [${logits.shape}], expected [batch] or [batch, heads].`,
    );
  const mean = logits.rank === 2 ? tf.mean(logits, 1) : logits;
  const clampedMean = tf.clipByValue(mean, -logitClamp, logitClamp);
  const raw = tf.exp(clampedMean);
  const ratio = tf.clipByValue(raw, range[0], range[1]) as tf.Tensor1D;
  return { ratio, clampedLogits: differs(mean, clampedMean), clampedRatios: differs(raw, ratio) };
}
