import * as tf from "@tensorflow/tfjs-core";
import type { TrainableDenoiser } from "./denoiser.ts";
import { exampleMean, perExample } from "./noise-level.ts";

/** Raw network F_θ(c_in·x, c_noise, condition) of EDM's preconditioning. */
export type Network = (input: tf.Tensor, noise: tf.Tensor1D, condition?: tf.Tensor) => tf.Tensor;

export interface EdmCoefficients {
  /** σ_d²/(σ² + σ_d²) */
  skip: number;
  /** σσ_d/√(σ² + σ_d²) */
  out: number;
  /** 1/√(σ² + σ_d²) */
  in: number;
  /** ln σ / 4 */
  noise: number;
  /** (σ² + σ_d²)/(σσ_d)², the loss weight */
  lossWeight: number;
}

/** EDM's coefficients at one noise level (Karras et al. 2022, https://arxiv.org/abs/2206.00364, table 1). */
export function edmCoefficients(sigma: number, sigmaData = 0.5): EdmCoefficients {
  const total = sigma ** 2 + sigmaData ** 2;
  return {
    skip: sigmaData ** 2 / total,
    out: (sigma * sigmaData) / Math.sqrt(total),
    in: 1 / Math.sqrt(total),
    noise: Math.log(sigma) / 4,
    lossWeight: total / (sigma * sigmaData) ** 2,
  };
}

/**
 * D(x; σ) = c_skip·x + c_out·F(c_in·x, c_noise) (Karras et al. 2022, equation 7): any network as a denoiser.
 *
 * @param parameters of the network, so that the result can be trained
 */
export function edmDenoiser(
  network: Network,
  parameters: ReadonlyMap<string, tf.Variable>,
  { sigmaData = 0.5 } = {},
): TrainableDenoiser {
  if (!(sigmaData > 0))
    throw new RangeError(`edmDenoiser: sigmaData is ${sigmaData}, expected a positive number.`);
  return {
    parameters,
    denoise(x, sigma, condition) {
      const total = tf.add(tf.square(sigma), sigmaData ** 2);
      const at = (values: tf.Tensor) => perExample(values, x.rank);
      const output = network(
        tf.mul(x, at(tf.rsqrt(total))),
        tf.mul(0.25, tf.log(sigma)) as tf.Tensor1D,
        condition,
      );
      return tf.add(
        tf.mul(x, at(tf.div(sigmaData ** 2, total))),
        tf.mul(output, at(tf.mul(tf.mul(sigma, sigmaData), tf.rsqrt(total)))),
      );
    },
  };
}

/**
 * EDM's denoising loss λ(σ)·mean‖D − x₀‖² of each example, λ = (σ² + σ_d²)/(σσ_d)² (Karras et al. 2022, equation 8), the mean over its elements.
 *
 * @param denoised D(x₀ + σε; σ), [batch, ...]
 * @param clean x₀
 * @returns [batch]
 */
export function edmLoss(
  denoised: tf.Tensor,
  clean: tf.Tensor,
  sigma: tf.Tensor1D,
  { sigmaData = 0.5 } = {},
): tf.Tensor1D {
  tf.util.assertShapesMatch(denoised.shape, clean.shape, "edmLoss: ");
  const weight = tf.div(tf.add(tf.square(sigma), sigmaData ** 2), tf.square(tf.mul(sigma, sigmaData)));
  return tf.mul(weight, exampleMean(tf.square(tf.sub(denoised, clean))));
}
