import type * as tf from "@tensorflow/tfjs-core";

/** The posterior mean D(x; σ) = E[x₀ | x = x₀ + σε]: what every diffusion model is here, whatever it was trained to predict. */
export interface Denoiser {
  /**
   * @param x [batch, ...]
   * @param sigma [batch], the noise's standard deviation
   * @param condition [batch, ...] as the model takes it, for instance int32 labels with −1 for none
   * @returns in x's shape
   */
  denoise(x: tf.Tensor, sigma: tf.Tensor1D, condition?: tf.Tensor): tf.Tensor;
}

/** A denoiser with parameters to train; their names are those of its files. */
export interface TrainableDenoiser extends Denoiser {
  readonly parameters: ReadonlyMap<string, tf.Variable>;
}

/** A one-step generator x = G(z). */
export interface Generator {
  readonly parameters: ReadonlyMap<string, tf.Variable>;
  /** @param z standard normal, [batch, ...] */
  generate(z: tf.Tensor, condition?: tf.Tensor): tf.Tensor;
}

/** Tells teacher's data from the generator's at a noise level; a logit a head, positive where it takes x for real. */
export interface Discriminator {
  readonly parameters: ReadonlyMap<string, tf.Variable>;
  /** @returns [batch, heads] */
  logits(x: tf.Tensor, sigma: tf.Tensor1D, condition?: tf.Tensor): tf.Tensor2D;
}
