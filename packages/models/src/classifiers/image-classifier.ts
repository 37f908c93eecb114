import { conv2d, groupNorm, linear } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { type InitialParameter, initialise } from "../denoisers/initialise.ts";

export interface ImageClassifierOptions {
  classes: number;
  /** Of the images; default 1. */
  channels?: number;
  /** Of each convolution; each but the first halves the resolution. Default [32, 64, 64]. */
  blockChannels?: readonly number[];
  /** Of the last layer before the classes: what measures of samples look at. Default 64. */
  features?: number;
  seed?: number | string;
}

/** A small convolutional classifier of images [batch, height, width, channels]. */
export interface ImageClassifier {
  readonly parameters: ReadonlyMap<string, tf.Variable>;
  readonly classes: number;
  readonly featureSize: number;
  /** [batch, classes] */
  logits(x: tf.Tensor): tf.Tensor2D;
  /** The activations before the classes, [batch, featureSize]. */
  features(x: tf.Tensor): tf.Tensor2D;
  dispose(): void;
}

const normGroups = 8;

/**
 * Convolutions of 3 × 3 with group norm and SiLU, the mean over pixels, one hidden layer: what samples of the same data are judged by.
 *
 * @throws RangeError on sizes
 */
export function createImageClassifier(options: ImageClassifierOptions): ImageClassifier {
  const { classes, channels = 1, blockChannels = [32, 64, 64], features = 64, seed = 0 } = options;
  if (!Number.isSafeInteger(classes) || classes < 2)
    throw new RangeError(`createImageClassifier: ${classes} classes; expected two or more.`);
  if (blockChannels.length === 0 || blockChannels.some((width) => !(width > 0) || width % normGroups !== 0))
    throw new RangeError(
      `createImageClassifier: blockChannels is [${blockChannels}], expected multiples of ${normGroups}.`,
    );
  const specs = new Map<string, InitialParameter>();
  blockChannels.forEach((width, i) => {
    const from = i === 0 ? channels : blockChannels[i - 1]!;
    specs.set(`blocks.${i}.conv.weight`, { shape: [width, from, 3, 3], start: { gain: Math.SQRT2 } });
    specs.set(`blocks.${i}.conv.bias`, { shape: [width], start: "zeros" });
    specs.set(`blocks.${i}.norm.weight`, { shape: [width], start: "ones" });
    specs.set(`blocks.${i}.norm.bias`, { shape: [width], start: "zeros" });
  });
  specs.set("hidden.weight", { shape: [features, blockChannels.at(-1)!], start: { gain: Math.SQRT2 } });
  specs.set("hidden.bias", { shape: [features], start: "zeros" });
  specs.set("out.weight", { shape: [classes, features], start: { gain: 1 } });
  specs.set("out.bias", { shape: [classes], start: "zeros" });
  const parameters = initialise(specs, seed);
  const get = (name: string) => parameters.get(name)!;
  const inner = (x: tf.Tensor): tf.Tensor2D => {
    let h = x;
    blockChannels.forEach((_, i) => {
      const name = `blocks.${i}`;
      const seen = conv2d(h, get(`${name}.conv.weight`), {
        bias: get(`${name}.conv.bias`),
        padding: 1,
        stride: i === 0 ? 1 : 2,
      });
      h = groupNorm(seen, get(`${name}.norm.weight`), get(`${name}.norm.bias`), {
        groups: normGroups,
        activation: "silu",
      });
    });
    const pooled = tf.mean(tf.reshape(h, [h.shape[0]!, -1, h.shape[3]!]), 1);
    return linear(pooled, get("hidden.weight"), {
      bias: get("hidden.bias"),
      activation: "silu",
    }) as tf.Tensor2D;
  };
  return {
    parameters,
    classes,
    featureSize: features,
    features: inner,
    logits: (x) => linear(inner(x), get("out.weight"), { bias: get("out.bias") }) as tf.Tensor2D,
    dispose: () => tf.dispose([...parameters.values()]),
  };
}
