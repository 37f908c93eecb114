import { type Divergence, reverseKl } from "@fdiv/divergences";
import * as tf from "@tensorflow/tfjs-core";
import { InfiniteDivergenceError } from "./admissibility.ts";
import { sequenceRanges } from "./advantages.ts";
import { continuedExp } from "./ppo-loss.ts";
import { checkNumbers } from "./weights.ts";

// Estimators of KL(π‖ref) from samples of π, l = log π − log ref (Schulman 2020, "Approximating KL divergence"), elementwise. What is
// unbiased as a value need not be so as a loss.

const difference = (logProbs: tf.Tensor1D, referenceLogProbs: tf.Tensor1D): tf.Tensor1D =>
  tf.sub(logProbs, referenceLogProbs);

/** k1 = l. Its mean is unbiased for KL(π‖ref); its gradient means 0 (E_π ∇log π = 0): good in the reward, useless as a loss. */
export function k1(logProbs: tf.Tensor1D, referenceLogProbs: tf.Tensor1D): tf.Tensor1D {
  return difference(logProbs, referenceLogProbs);
}

/** k2 = l²/2. Its mean is biased for KL(π‖ref), but E_π ∇k2 = E_π l·∇log π = ∇KL(π‖ref): right as a loss, on-policy. */
export function k2(logProbs: tf.Tensor1D, referenceLogProbs: tf.Tensor1D): tf.Tensor1D {
  return tf.mul(0.5, tf.square(difference(logProbs, referenceLogProbs)));
}

/**
 * k3 = e⁻ˡ − 1 + l. Its mean is unbiased for KL(π‖ref) and no sample is negative; but E_π ∇k3 = E_π (1 − e⁻ˡ)·∇log π = ∇KL(ref‖π): as a loss
 * it minimises the forward KL. Beyond e⁴⁰ it goes on in a straight line.
 */
export function k3(logProbs: tf.Tensor1D, referenceLogProbs: tf.Tensor1D): tf.Tensor1D {
  const l = difference(logProbs, referenceLogProbs);
  return tf.add(tf.sub(continuedExp(tf.neg(l)), 1), l);
}

/**
 * A divergence from the reference as a loss: s(l)·log π with s held constant, whose gradient means ∇D_f(π‖ref) on samples of π; for reverse KL
 * the gradient of k2. Its value means nothing.
 *
 * @param logProbs log π of whole sequences [sequences], or of tokens [tokens] for the sum of the tokens' divergences
 * @param sampledLogProbs log π_old where the samples are of an older policy: the loss is s(l)·π/π_old then, with the same mean gradient
 */
export function divergencePenalty(
  logProbs: tf.Tensor1D,
  referenceLogProbs: tf.Tensor1D,
  divergence: Divergence = reverseKl,
  sampledLogProbs?: tf.Tensor1D,
): tf.Tensor1D {
  const constant = tf.customGrad((...x) => ({
    value: divergence.score(tf.sub(x[0] as tf.Tensor, x[1] as tf.Tensor)),
    // Of dy, for the inputs may be gone by then.
    gradFunc: (dy: tf.Tensor) => [tf.zerosLike(dy), tf.zerosLike(dy)],
  }));
  const measure = sampledLogProbs ? continuedExp(tf.sub(logProbs, sampledLogProbs)) : logProbs;
  return tf.mul(constant(logProbs, referenceLogProbs), measure);
}

/**
 * Token rewards of a batch: each sequence's score on its last token, less the penalty coefficient × s(l) — of each token's own l, or of the
 * whole sequence's on its last token. With reverse KL, s(l) = l is k1.
 *
 * @param batch.scores one a sequence, in the order in which they come
 * @param batch.logProbs, batch.referenceLogProbs, batch.sequences [tokens]; tokens of a sequence together, in order
 * @returns [tokens]
 * @throws InfiniteDivergenceError where the reference gives a token no probability and s(∞) = ∞; RangeError on lengths and NaN
 */
export function penalisedRewards(
  batch: {
    scores: ArrayLike<number>;
    logProbs: ArrayLike<number>;
    referenceLogProbs: ArrayLike<number>;
    sequences: ArrayLike<number>;
  },
  options: { coefficient: number; divergence?: Divergence; per?: "token" | "sequence" },
): Float64Array {
  const { scores, logProbs, referenceLogProbs, sequences } = batch;
  const { coefficient, divergence = reverseKl, per = "token" } = options;
  checkNumbers("penalisedRewards", sequences.length, { logProbs, referenceLogProbs });
  const ranges = sequenceRanges("penalisedRewards", sequences);
  if (scores.length !== ranges.length)
    throw new RangeError(`penalisedRewards: ${scores.length} scores for ${ranges.length} sequences.`);
  if (!(coefficient >= 0 && Number.isFinite(coefficient)))
    throw new RangeError(
      `penalisedRewards: the coefficient is ${coefficient}, expected a number of at least 0.`,
    );
  const penalty = (l: number): number => {
    if (coefficient === 0) return 0;
    const score = divergence.score(l);
    if (score === Number.POSITIVE_INFINITY)
      throw new InfiniteDivergenceError(
        `penalisedRewards: the reference gives a sample no probability, where ${divergence.name} is infinite.`,
      );
    return coefficient * score;
  };
  const rewards = new Float64Array(sequences.length);
  for (const [s, [from, to]] of ranges.entries()) {
    let total = 0;
    for (let t = from; t < to; t++) {
      const l = logProbs[t]! - referenceLogProbs[t]!;
      total += l;
      if (per === "token") rewards[t]! -= penalty(l);
    }
    if (per === "sequence") rewards[to - 1]! -= penalty(total);
    rewards[to - 1]! += scores[s]!;
  }
  return rewards;
}

/** How strongly a reward is held to the reference, and what changes it. */
export interface KlCoefficient {
  readonly value: number;
  /** Takes in a batch's mean KL of a sequence and how many sequences it was. */
  update(kl: number, sequences: number): void;
  state(): { value: number };
  load(state: { value: number }): void;
}

const positive = (what: string, value: number): void => {
  if (!(value > 0 && Number.isFinite(value)))
    throw new RangeError(`${what} is ${value}, expected a positive number.`);
};

/** A coefficient that stays as it is; default .05. */
export function fixedKlCoefficient(value = 0.05): KlCoefficient {
  if (!(value >= 0 && Number.isFinite(value)))
    throw new RangeError(`fixedKlCoefficient: ${value} is no coefficient, expected a number of at least 0.`);
  return { value, update() {}, state: () => ({ value }), load() {} };
}

/**
 * A coefficient that steers the KL to a target (Ziegler et al. 2019, arXiv 1909.08593, section 2.2): after n sequences it is multiplied by
 * 1 + clip(KL/target − 1, −.2, .2)·n/horizon.
 */
export function adaptiveKlCoefficient(
  options: { initial?: number; target?: number; horizon?: number } = {},
): KlCoefficient {
  const { initial = 0.2, target = 6, horizon = 10_000 } = options;
  for (const [name, x] of Object.entries({ initial, target, horizon }))
    positive(`adaptiveKlCoefficient: ${name}`, x);
  let value = initial;
  return {
    get value() {
      return value;
    },
    update(kl, sequences) {
      if (!Number.isFinite(kl)) throw new RangeError(`adaptiveKlCoefficient: the KL is ${kl}.`);
      const error = Math.max(-0.2, Math.min(0.2, kl / target - 1));
      // n beyond the horizon must not turn the coefficient negative.
      value *= Math.max(0.1, 1 + (error * sequences) / horizon);
    },
    state: () => ({ value }),
    load(state) {
      positive("adaptiveKlCoefficient: the saved value", state.value);
      value = state.value;
    },
  };
}
