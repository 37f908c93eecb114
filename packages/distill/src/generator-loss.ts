import * as tf from "@tensorflow/tfjs-core";
import type { Log } from "./accumulate.ts";
import { generatorAdversarialLoss } from "./adversarial-loss.ts";
import type { DistilSetting } from "./distil-setting.ts";
import { distributionMatching, type MatchingOptions } from "./distribution-matching.ts";
import type { IterationDraws, Piece } from "./iteration-draws.ts";
import { matchingWeights } from "./matching-weights.ts";
import { addNoise } from "./noise-level.ts";
import { untaped } from "./untaped.ts";

/** The generator's examples with noise, and the levels. */
function noisedOf({ generator, noise }: DistilSetting, { z, condition, sigmas, normal }: Piece) {
  const generated = generator.generate(z, condition);
  const levels = sigmas(noise, "generator", "sigma");
  const sigma = tf.tensor1d(levels);
  return {
    generated,
    levels,
    sigma,
    noised: addNoise(generated, sigma, normal(generated.shape, "generator", "noise")),
  };
}

function matchingOptions({ divergence, normaliser, balance, scale, ratio }: DistilSetting): MatchingOptions {
  return {
    divergence,
    ...(normaliser && { normaliser }),
    ...(balance !== undefined && { balance }),
    ...(scale && { scale }),
    ...ratio,
  };
}

/**
 * The whole batch's weights, where it is split: they are balanced over the batch and move the bins once.
 *
 * @returns kept, [batch], with what is worth logging about them; undefined where each piece finds its own
 */
export function batchWeights(
  setting: DistilSetting,
  draws: IterationDraws,
): { weights: tf.Tensor1D; metrics: Log } | undefined {
  const { discriminator, exactLogRatio, matchingWeight, microBatch, batchSize } = setting;
  if (microBatch === batchSize || matchingWeight === 0 || !(discriminator || exactLogRatio)) return undefined;
  const levels: Float32Array[] = [];
  const ratios: tf.Tensor[] = [];
  for (const piece of draws.pieces())
    ratios.push(
      tf.tidy(() => {
        const { levels: own, sigma, noised } = noisedOf(setting, piece);
        levels.push(own);
        return exactLogRatio
          ? exactLogRatio(noised, sigma, piece.condition)
          : discriminator!.logits(noised, sigma, piece.condition);
      }),
    );
  const { weights, ...metrics } = untaped(() => {
    const all = tf.concat(ratios, 0);
    return matchingWeights(
      {
        sigmas: levels.flatMap((part) => Array.from(part)),
        ...(exactLogRatio ? { logRatio: all as tf.Tensor1D } : { logits: all }),
      },
      matchingOptions(setting),
    );
  });
  tf.dispose(ratios);
  return { weights: weights as tf.Tensor1D, metrics };
}

/**
 * The generator's loss on a piece of the batch: distribution matching, and the adversarial term where there is one.
 *
 * @param weights the piece's part of the batch's, where the batch is split
 * @param log what to log is put in, kept
 * @param toFree what is kept for the gradient is put in
 */
export function generatorLoss(
  setting: DistilSetting,
  piece: Piece,
  weights: tf.Tensor1D | undefined,
  log: Log,
  toFree: tf.Tensor[],
): tf.Scalar {
  const { discriminator, exactLogRatio, teacher, fake, matchingWeight, adversarialWeight } = setting;
  const { condition } = piece;
  const { generated, levels, sigma, noised } = noisedOf(setting, piece);
  const logits =
    discriminator && adversarialWeight > 0 ? discriminator.logits(noised, sigma, condition) : undefined;
  const terms: tf.Tensor[] = [];
  if (logits) {
    const adversarial = tf.mean(generatorAdversarialLoss(logits));
    log.adversarialLoss = tf.keep(tf.clone(adversarial));
    terms.push(tf.mul(adversarialWeight, adversarial));
  }
  if (matchingWeight > 0) {
    const judged: Record<string, tf.Tensor> = untaped(() => ({
      teacherDenoised: teacher.denoise(noised, sigma, condition),
      fakeDenoised: fake.denoise(noised, sigma, condition),
      ...(weights
        ? { weights }
        : exactLogRatio
          ? { logRatio: exactLogRatio(noised, sigma, condition) }
          : discriminator && { logits: logits ?? discriminator.logits(noised, sigma, condition) }),
    }));
    const {
      loss,
      gradient,
      weights: used,
      metrics,
    } = distributionMatching(
      {
        generated,
        sigmas: levels,
        teacherDenoised: judged.teacherDenoised!,
        fakeDenoised: judged.fakeDenoised!,
        ...(judged.weights && { weights: judged.weights as tf.Tensor1D }),
        ...(judged.logits && { logits: judged.logits }),
        ...(judged.logRatio && { logRatio: judged.logRatio as tf.Tensor1D }),
      },
      matchingOptions(weights ? { ...setting, normaliser: undefined } : setting),
    );
    const matching = tf.mean(loss);
    Object.assign(log, metrics, { matchingLoss: tf.keep(tf.clone(matching)) });
    terms.push(tf.mul(matchingWeight, matching));
    tf.dispose([used, ...Object.values(judged)]);
    toFree.push(gradient);
  }
  const seen = untaped(() => {
    const { mean, variance } = tf.moments(generated);
    return { outputMean: mean, outputDeviation: tf.sqrt(variance) };
  });
  Object.assign(log, seen);
  return tf.addN(terms) as tf.Scalar;
}
