import type { Random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Denoiser } from "./denoiser.ts";

/** The int32 label that stands for no condition. */
export const noLabel = -1;

export interface GuidanceOptions {
  /** s; 1 is no guidance, 0 the negative condition alone. */
  scale: number;
  /** The condition to move away from, for a batch; default labels of −1 in the condition's shape. */
  negative?: (batch: number) => tf.Tensor;
  /** Noise levels outside [low, high] are not guided (Kynkäänniemi et al. 2024, https://arxiv.org/abs/2404.07724); default all are. */
  interval?: readonly [low: number, high: number];
}

/**
 * Classifier-free guidance D + (s − 1)(D − D_negative) (Ho & Salimans 2022, https://arxiv.org/abs/2207.12598), as a denoiser.
 *
 * @throws RangeError when the scale is not finite, or on a call without a condition
 */
export function classifierFreeGuidance(denoiser: Denoiser, options: GuidanceOptions): Denoiser {
  const { scale, interval } = options;
  if (!Number.isFinite(scale)) throw new RangeError(`classifierFreeGuidance: the scale is ${scale}.`);
  const negative = options.negative ?? ((batch: number) => tf.fill([batch], noLabel, "int32"));
  return {
    denoise(x, sigma, condition) {
      if (!condition)
        throw new RangeError(
          "classifierFreeGuidance: there is no condition to guide towards; pass one to denoise.",
        );
      const towards = denoiser.denoise(x, sigma, condition);
      if (scale === 1) return towards;
      const away = denoiser.denoise(x, sigma, negative(x.shape[0]!));
      const strength = interval
        ? tf.mul(scale - 1, inside(sigma, interval))
        : tf.fill([x.shape[0]!], scale - 1);
      const shaped = tf.reshape(strength, [x.shape[0]!, ...new Array<number>(x.rank - 1).fill(1)]);
      return tf.add(towards, tf.mul(shaped, tf.sub(towards, away)));
    },
  };
}

/** 1 where low ≤ σ ≤ high, else 0. */
const inside = (sigma: tf.Tensor1D, [low, high]: readonly [number, number]): tf.Tensor =>
  tf.cast(tf.logicalAnd(tf.greaterEqual(sigma, low), tf.lessEqual(sigma, high)), "float32");

/**
 * Labels of which a share is replaced by −1, so that one denoiser learns both the conditional and the unconditional law.
 *
 * @throws RangeError when the share is no probability
 */
export function dropLabels(labels: ArrayLike<number>, share: number, random: Random): Int32Array {
  if (!(share >= 0 && share <= 1)) throw new RangeError(`dropLabels: ${share} is no probability.`);
  const drawn = random.uniform(labels.length);
  return Int32Array.from(labels, (label, i) => (drawn[i]! < share ? noLabel : label));
}
