import { embedding, linear } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { copyVariables, type DenoiserModel, parameterMembers } from "./denoiser-model.ts";
import { checkParameters, type InitialParameter, initialise } from "./initialise.ts";
import { sinusoidalEmbedding } from "./noise-embedding.ts";
import { denoiseWith, edm } from "./parametrisation.ts";

export interface MlpDenoiserOptions {
  /** Of a point, or of an image in a row; default 2. */
  dimensions?: number;
  /** Default 128. */
  hidden?: number;
  /** Residual layers; default 3. */
  layers?: number;
  /** 0, the default, for none. */
  labels?: number;
  sigmaData?: number;
  seed?: number | string;
}

/** What an MLP denoiser's parameters are shaped by. */
export type MlpSizes = Required<Omit<MlpDenoiserOptions, "seed">>;

/** A multilayer perceptron as a denoiser. */
export interface MlpDenoiser extends DenoiserModel {
  readonly sizes: Readonly<MlpSizes>;
  copy(): MlpDenoiser;
}

const waves = 32;
/** c_noise runs over about three units; the embedding's slowest wave should turn within them. */
const levelScale = 16;

function parametersOf({ dimensions, hidden, layers, labels }: MlpSizes): Map<string, InitialParameter> {
  const specs = new Map<string, InitialParameter>();
  const affine = (name: string, out: number, from: number, gain: number) => {
    specs.set(`${name}.weight`, { shape: [out, from], start: { gain } });
    specs.set(`${name}.bias`, { shape: [out], start: "zeros" });
  };
  affine("input", hidden, dimensions, 1);
  affine("level", hidden, 2 * waves, 1);
  if (labels > 0) specs.set("labels.weight", { shape: [labels, hidden], start: { gain: Math.sqrt(hidden) } });
  for (let i = 0; i < layers; i++) {
    affine(`layers.${i}.in`, hidden, hidden, Math.SQRT2);
    affine(`layers.${i}.out`, hidden, hidden, 0.3);
  }
  affine("output", dimensions, hidden, 1e-2);
  return specs;
}

function make(all: ReadonlyMap<string, tf.Tensor>, sizes: MlpSizes): MlpDenoiser {
  const get = (name: string): tf.Tensor => all.get(name)!;
  const dense = (name: string, x: tf.Tensor, activation: "none" | "silu" = "none") =>
    linear(x, get(`${name}.weight`), { bias: get(`${name}.bias`), activation });
  const hidden = (input: tf.Tensor, level: tf.Tensor1D, labels?: tf.Tensor): tf.Tensor => {
    if (input.rank < 2 || input.size !== input.shape[0]! * sizes.dimensions)
      throw new RangeError(
        `mlpDenoiser: x has shape [${input.shape}], expected [batch, ${sizes.dimensions}], or images of as many numbers.`,
      );
    const wave = sinusoidalEmbedding(tf.mul(level, levelScale) as tf.Tensor1D, 2 * waves, {
      flip: false,
      frequencyShift: 0,
    });
    let told = dense("level", wave);
    if (labels) {
      if (sizes.labels === 0)
        throw new RangeError("mlpDenoiser: labels are given to a model without a label embedding.");
      const known = tf.reshape(tf.cast(tf.greaterEqual(labels, 0), "float32"), [-1, 1]);
      const ids = tf.maximum(labels, tf.scalar(0, "int32")) as tf.Tensor1D;
      told = tf.add(told, tf.mul(known, embedding(get("labels.weight"), ids)));
    }
    let h = tf.add(dense("input", tf.reshape(input, [input.shape[0]!, sizes.dimensions])), told);
    for (let i = 0; i < sizes.layers; i++)
      h = tf.add(h, dense(`layers.${i}.out`, dense(`layers.${i}.in`, h, "silu")));
    return h;
  };
  const parametrisation = edm({ sigmaData: sizes.sigmaData });
  return {
    ...parameterMembers(all),
    sizes,
    range: parametrisation.range,
    denoise: denoiseWith(
      (input, level, labels) => tf.reshape(dense("output", hidden(input, level, labels)), input.shape),
      parametrisation,
    ),
    features(x, sigma, labels) {
      let found: tf.Tensor | undefined;
      denoiseWith((input, level, given) => {
        found = hidden(input, level, given);
        return input;
      }, parametrisation)(x, sigma, labels);
      return [found!];
    },
    featureChannels: [sizes.hidden],
    copy: () => make(copyVariables(all), sizes),
  };
}

/**
 * A residual multilayer perceptron under EDM's preconditioning, for points of a few dimensions, and for images that are small.
 *
 * @throws RangeError on sizes
 */
export function createMlpDenoiser(options: MlpDenoiserOptions = {}): MlpDenoiser {
  const { dimensions = 2, hidden = 128, layers = 3, labels = 0, sigmaData = 0.5, seed = 0 } = options;
  const sizes = { dimensions, hidden, layers, labels, sigmaData };
  checkSizes(sizes);
  return make(initialise(parametersOf(sizes), seed), sizes);
}

function checkSizes({ dimensions, hidden, layers, labels }: MlpSizes): void {
  for (const [name, value] of Object.entries({ dimensions, hidden, layers }))
    if (!Number.isSafeInteger(value) || value < 1 || value > 65_536)
      throw new RangeError(`mlpDenoiser: ${name} is ${value}, expected a positive integer.`);
  if (!Number.isSafeInteger(labels) || labels < 0 || labels > 1e6)
    throw new RangeError(`mlpDenoiser: ${labels} labels.`);
}

/** @throws RangeError on sizes; Error naming a parameter that is missing, superfluous or of another shape */
export function checkMlpParameters(
  parameters: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  sizes: MlpSizes,
): void {
  checkSizes(sizes);
  checkParameters("mlpDenoiser", parameters, parametersOf(sizes));
}

/**
 * A multilayer perceptron with given parameters as a denoiser.
 *
 * @throws RangeError on sizes; Error naming a parameter that is missing, superfluous or of another shape
 */
export function mlpDenoiser(parameters: ReadonlyMap<string, tf.Tensor>, sizes: MlpSizes): MlpDenoiser {
  checkMlpParameters(parameters, sizes);
  return make(parameters, sizes);
}
