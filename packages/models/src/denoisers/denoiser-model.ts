import { trainableParameters } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

/** A denoiser over named parameters: what distillation and samplers take, and where its features are. */
export interface DenoiserModel {
  /** All parameters; trainable ones are variables. */
  readonly all: ReadonlyMap<string, tf.Tensor>;
  /** The trainable ones. */
  readonly parameters: ReadonlyMap<string, tf.Variable>;
  /** Noise levels that it was made for. */
  readonly range: readonly [min: number, max: number];
  /** D(x; σ) of x [batch, ...] at σ [batch], with int32 labels [batch] where it has them, −1 for none. */
  denoise(x: tf.Tensor, sigma: tf.Tensor1D, labels?: tf.Tensor): tf.Tensor;
  /** Inner activations, [batch, ..., channels] each, for discriminator heads. */
  features(x: tf.Tensor, sigma: tf.Tensor1D, labels?: tf.Tensor): tf.Tensor[];
  /** Channels of each of those features. */
  readonly featureChannels: readonly number[];
  /** Another one with parameters of its own that start from these values: a student or a fake denoiser from its teacher. */
  copy(): DenoiserModel;
  dispose(): void;
}

/** Copies all values into fresh variables. */
export function copyVariables(parameters: ReadonlyMap<string, tf.Tensor>): Map<string, tf.Variable> {
  return new Map(
    [...parameters].map(([name, tensor]) => [
      name,
      tf.tidy(() => tf.variable(tf.mul(tensor, 1) as tf.Tensor)),
    ]),
  );
}

/** What every denoiser's parameters have in common. */
export function parameterMembers(all: ReadonlyMap<string, tf.Tensor>) {
  return {
    all,
    parameters: trainableParameters(all),
    dispose: () => {
      for (const tensor of all.values()) tensor.dispose();
    },
  };
}
