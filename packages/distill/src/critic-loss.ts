import * as tf from "@tensorflow/tfjs-core";
import type { Log } from "./accumulate.ts";
import { discriminatorLoss } from "./adversarial-loss.ts";
import type { Discriminator } from "./denoiser.ts";
import type { DistilSetting } from "./distil-setting.ts";
import { edmLoss } from "./edm.ts";
import { approximateGradientPenalty, exactGradientPenalty } from "./gradient-penalty.ts";
import type { Piece } from "./iteration-draws.ts";
import { addNoise, exampleMean } from "./noise-level.ts";
import { untaped } from "./untaped.ts";

/** The fake denoiser's loss on the generator's examples. */
function fakeLoss(setting: DistilSetting, piece: Piece, generated: tf.Tensor): tf.Tensor {
  const { fake, fakeNoise, sigmaData } = setting;
  const sigma = tf.tensor1d(piece.sigmas(fakeNoise, "critic", "fake sigma"));
  const noised = addNoise(generated, sigma, piece.normal(generated.shape, "critic", "fake noise"));
  const denoised = fake.denoise(noised, sigma, piece.condition);
  if (setting.fakeLoss === "clean") return tf.mean(exampleMean(tf.square(tf.sub(denoised, generated))));
  return tf.mean(edmLoss(denoised, generated, sigma, sigmaData === undefined ? {} : { sigmaData }));
}

/** The discriminator's loss between real and generated examples, with its penalty. */
function tellingLoss(
  setting: DistilSetting,
  discriminator: Discriminator,
  { piece, real, generated }: { piece: Piece; real: tf.Tensor; generated: tf.Tensor },
  log: Log,
): tf.Tensor {
  const { noise, gradientPenalty } = setting;
  const sigma = tf.tensor1d(piece.sigmas(noise, "critic", "sigma"));
  const noisedReal = addNoise(real, sigma, piece.normal(real.shape, "critic", "real noise"));
  const noisedFake = addNoise(generated, sigma, piece.normal(generated.shape, "critic", "noise"));
  const critic = (x: tf.Tensor) => discriminator.logits(x, sigma, piece.condition);
  const logits = { real: critic(noisedReal), generated: critic(noisedFake) };
  const told = tf.mean(discriminatorLoss(logits));
  log.discriminatorLoss = tf.keep(tf.clone(told));
  Object.assign(
    log,
    untaped(() => {
      const right = (x: tf.Tensor) => tf.mean(tf.cast(tf.greater(tf.mean(x, 1), 0), "float32"));
      const both = tf.add(right(logits.real), right(tf.neg(logits.generated)));
      return { discriminatorAccuracy: tf.mul(0.5, both) };
    }),
  );
  if (!gradientPenalty) return told;
  const { kind, weight, step = 0.01 } = gradientPenalty;
  const penalty = tf.mean(
    kind === "exact"
      ? exactGradientPenalty(critic, noisedReal, { step })
      : approximateGradientPenalty(critic, noisedReal, piece.normal(real.shape, "critic", "penalty"), {
          deviation: step,
          logits: logits.real,
        }),
  );
  log.gradientPenalty = tf.keep(tf.clone(penalty));
  return tf.add(told, tf.mul(weight, penalty));
}

/**
 * The loss of fake denoiser and discriminator on a piece of the batch.
 *
 * @param generated the generator's examples, of which no gradient is taken
 * @param log what to log is put in, kept
 */
export function criticLoss(setting: DistilSetting, piece: Piece, generated: tf.Tensor, log: Log): tf.Scalar {
  const loss = fakeLoss(setting, piece, generated);
  log.fakeLoss = tf.keep(tf.clone(loss));
  const { discriminator, discriminatorWeight } = setting;
  if (!discriminator || !piece.real) return loss as tf.Scalar;
  const told = tellingLoss(setting, discriminator, { piece, real: piece.real, generated }, log);
  return tf.add(loss, tf.mul(discriminatorWeight, told)) as tf.Scalar;
}
