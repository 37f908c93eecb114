import type { Divergence } from "@fdiv/divergences";
import * as tf from "@tensorflow/tfjs-core";
import { type DensityRatioOptions, densityRatio } from "./density-ratio.ts";
import type { RatioNormaliser } from "./ratio-normaliser.ts";

export interface WeightOptions extends DensityRatioOptions {
  divergence: Divergence;
  /** Divides ratios by their noise bin's running mean; official, and used where given. Not for an exact log-ratio. */
  normaliser?: RatioNormaliser;
  /** Divides the weights by their mean over the batch; default true. */
  balance?: boolean;
}

export interface Ratios {
  /** [batch], on the host. */
  sigmas: ArrayLike<number>;
  logits?: tf.Tensor;
  logRatio?: tf.Tensor1D;
  /** Default as many as noise levels. */
  batch?: number;
}

/** Scalars on the backend, kept: the caller disposes of them. */
export interface MatchingMetrics {
  /** Var(h)/mean(h)² over the batch. */
  weightVariance: tf.Tensor;
  /** (Σh)²/Σh² over the batch's size, in (0, 1]. */
  effectiveSampleShare: tf.Tensor;
  meanRatio: tf.Tensor;
  /** Shares of the batch. */
  clampedLogits: tf.Tensor;
  clampedRatios: tf.Tensor;
  saturatedWeights: tf.Tensor;
}

const share = (x: tf.Tensor): tf.Tensor => tf.mean(x);

/**
 * h of a batch's ratios, in the official order, and what is worth watching about it: balanced over the batch, so that of a batch that is split it must be taken as a whole.
 *
 * @param ratios a discriminator's logits, or log p_t − log q_t where it is known; neither for a weight of 1
 * @returns weights [batch], and scalars
 */
export function matchingWeights(
  { sigmas, logits, logRatio, batch = sigmas.length }: Ratios,
  options: WeightOptions,
): MatchingMetrics & { weights: tf.Tensor1D } & Record<string, tf.Tensor> {
  const { divergence, normaliser, balance = true } = options;
  const none = tf.zeros([batch]) as tf.Tensor1D;
  let l: tf.Tensor1D = none;
  let [clampedLogits, clampedRatios] = [none, none];
  if (logRatio) l = tf.neg(logRatio);
  if (logits) {
    const found = densityRatio(logits, {
      ...(options.logitClamp !== undefined && { logitClamp: options.logitClamp }),
      ...(options.range && { range: options.range }),
    });
    ({ clampedLogits, clampedRatios } = found);
    l = tf.neg(tf.log(normaliser ? normaliser.normalise(found.ratio, sigmas) : found.ratio));
  }
  const h = divergence.weight(l);
  const mean = tf.mean(h);
  const square = tf.mean(tf.square(h));
  return {
    weights: balance ? (tf.div(h, tf.add(mean, 1e-6)) as tf.Tensor1D) : h,
    weightVariance: tf.div(tf.mean(tf.square(tf.sub(h, mean))), tf.square(mean)),
    effectiveSampleShare: tf.div(tf.square(mean), square),
    meanRatio: tf.mean(tf.exp(tf.neg(l))),
    clampedLogits: share(clampedLogits),
    clampedRatios: share(clampedRatios),
    saturatedWeights: share(divergence.saturated(l)),
  };
}
