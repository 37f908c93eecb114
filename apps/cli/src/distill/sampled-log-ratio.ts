import type { ExactLogRatio, Generator } from "@fdiv/distill";
import { logSumExp, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { DistillData } from "./distill-data.ts";

/**
 * log p_t − log q_t with p_t the mixture's exact density and q_t(x) = mean over fresh samples of N(x; G(zⱼ), σ²): with noise the generator's law is that
 * mixture in the limit of many samples.
 *
 * @param options.samples how many; their latent draws are fixed, so that a resumed run goes on exactly
 */
export function sampledLogRatio(
  { mixture, shape }: DistillData,
  generator: Generator,
  { samples, seed, conditional }: { samples: number; seed: number; conditional: boolean },
): ExactLogRatio {
  const dimensions = shape[0]!;
  if (conditional)
    throw new RangeError("ratio.source: samples is for unconditional generators; take the discriminator.");
  const latent = random(seed)
    .fork("ratio samples")
    .normal(samples * dimensions);
  return (x, sigma) =>
    tf.tidy(() => {
      const centres = generator.generate(tf.tensor2d(latent, [samples, dimensions]));
      const squares = (rows: tf.Tensor): tf.Tensor => tf.sum(tf.square(rows), 1);
      const distance = tf.add(
        tf.sub(
          tf.reshape(squares(x), [-1, 1]),
          tf.mul(2, tf.matMul(x as tf.Tensor2D, centres as tf.Tensor2D, false, true)),
        ),
        tf.reshape(squares(centres), [1, -1]),
      );
      const variance = tf.square(sigma);
      const exponent = tf.div(tf.neg(tf.maximum(distance, 0)), tf.reshape(tf.mul(2, variance), [-1, 1]));
      const kernel = tf.sub(logSumExp(exponent), Math.log(samples));
      const own = tf.sub(kernel, tf.mul(dimensions / 2, tf.log(tf.mul(2 * Math.PI, variance))));
      return tf.sub(mixture!.logDensity(x, sigma), own) as tf.Tensor1D;
    });
}
