import { activate, linear } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { DenoiserModel } from "./denoiser-model.ts";
import { type InitialParameter, initialise } from "./initialise.ts";

export interface DiscriminatorHeadsOptions {
  /** Which of the net's features get a head; default the last alone, the middle of a U-Net. Negative ones count from the end. */
  features?: readonly number[];
  /** Of each head's inner layer; default 64. */
  hidden?: number;
  seed?: number | string;
}

/** Heads of a discriminator over a denoiser's features. */
export interface DiscriminatorHeads {
  /** Of the heads alone: over a trainable net's features its own parameters learn with the net. */
  readonly parameters: ReadonlyMap<string, tf.Variable>;
  /** @returns [batch, heads] */
  logits(x: tf.Tensor, sigma: tf.Tensor1D, labels?: tf.Tensor): tf.Tensor2D;
  dispose(): void;
}

/**
 * A discriminator that reads a denoiser's inner activations: each head is a pixelwise layer with SiLU, the mean over pixels, and a linear layer to one logit. Over the frozen
 * teacher this is f-distill's choice (https://arxiv.org/abs/2502.15681), over the fake denoiser DMD2's (https://arxiv.org/abs/2405.14867).
 *
 * @throws RangeError on a feature that the net does not have
 */
export function discriminatorHeads(
  net: Pick<DenoiserModel, "features" | "featureChannels">,
  { features = [-1], hidden = 64, seed = 0 }: DiscriminatorHeadsOptions = {},
): DiscriminatorHeads {
  const count = net.featureChannels.length;
  const chosen = features.map((feature) => {
    const index = feature < 0 ? count + feature : feature;
    if (!Number.isSafeInteger(index) || index < 0 || index >= count)
      throw new RangeError(`discriminatorHeads: there is no feature ${feature}; the net has ${count}.`);
    return index;
  });
  if (chosen.length === 0) throw new RangeError("discriminatorHeads: no feature is chosen.");
  const specs = new Map<string, InitialParameter>();
  chosen.forEach((feature, head) => {
    specs.set(`heads.${head}.inner.weight`, {
      shape: [hidden, net.featureChannels[feature]!],
      start: { gain: Math.SQRT2 },
    });
    specs.set(`heads.${head}.inner.bias`, { shape: [hidden], start: "zeros" });
    specs.set(`heads.${head}.out.weight`, { shape: [1, hidden], start: { gain: 0.1 } });
    specs.set(`heads.${head}.out.bias`, { shape: [1], start: "zeros" });
  });
  const parameters = initialise(specs, seed);
  const dense = (name: string, x: tf.Tensor) =>
    linear(x, parameters.get(`${name}.weight`)!, { bias: parameters.get(`${name}.bias`)! });
  return {
    parameters,
    logits(x, sigma, labels) {
      const found = net.features(x, sigma, labels);
      const columns = chosen.map((feature, head) => {
        const map = found[feature]!;
        const rows = tf.reshape(map, [map.shape[0]!, -1, map.shape[map.rank - 1]!]);
        const inner = activate(dense(`heads.${head}.inner`, rows), "silu");
        return dense(`heads.${head}.out`, tf.mean(inner, 1));
      });
      return tf.concat(columns, 1) as tf.Tensor2D;
    },
    dispose: () => {
      for (const variable of parameters.values()) variable.dispose();
    },
  };
}
