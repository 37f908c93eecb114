import * as tf from "@tensorflow/tfjs-core";
import { blockParameters } from "../denoisers/block-parameters.ts";
import { checkParameters, type InitialParameter, initialise } from "../denoisers/initialise.ts";
import { attendPixels, convolve, outward, scopeOf } from "../denoisers/unet-blocks.ts";
import { type Attend, ascend, descend, type PathConfig, throughMiddle } from "../denoisers/unet-path.ts";
import {
  type AddAttention,
  ascentParameters,
  descentParameters,
  middleParameters,
} from "../denoisers/unet-path-parameters.ts";
import { type AutoencoderConfig, autoencoderConfig } from "./autoencoder-config.ts";

/** q(z | x) = N(mean, exp(logVariance)) of images, unscaled; [batch, height, width, latent channels] each. */
export interface Posterior {
  mean: tf.Tensor;
  logVariance: tf.Tensor;
}

/** Images to latents and back (Kingma & Welling 2013, https://arxiv.org/abs/1312.6114; Rombach et al. 2022, https://arxiv.org/abs/2112.10752). */
export interface Autoencoder {
  readonly config: AutoencoderConfig;
  /** All parameters, by diffusers' names. */
  readonly all: ReadonlyMap<string, tf.Tensor>;
  /** How many pixels of an image's side are one of its latent's. */
  readonly reduction: number;
  /** @param images [batch, height, width, channels] in [−1, 1], sides multiples of `reduction` */
  encode(images: tf.Tensor): Posterior;
  /** Images of latents as a diffusion model has them, scaled; not clipped. */
  decode(latents: tf.Tensor): tf.Tensor;
  dispose(): void;
}

function pathOf(config: AutoencoderConfig, side: "encoder" | "decoder"): PathConfig & AutoencoderConfig {
  return {
    ...config,
    inChannels: side === "encoder" ? config.inChannels : config.latentChannels,
    outChannels: side === "encoder" ? 2 * config.latentChannels : config.outChannels,
    normEpsilon: 1e-6,
    scaleShift: false,
    downsamplePadding: 0,
    midScale: 1,
  };
}

/** One head over all channels, in the middle alone. */
const attend: Attend<PathConfig & AutoencoderConfig> = (s, h, place) =>
  place === "middle" && s.config.midAttention ? attendPixels(s, h, { headSize: h.shape[3]! }) : h;

/** Every parameter's shape and start, by diffusers' names. */
export function autoencoderParameters(config: AutoencoderConfig): Map<string, InitialParameter> {
  const specs = new Map<string, InitialParameter>();
  const { latentChannels: latent, blockChannels, normGroups, midAttention } = config;
  const widest = blockChannels.at(-1)!;
  for (const side of ["encoder", "decoder"] as const) {
    const own = blockParameters({ scaleShift: false });
    const attention: AddAttention = (name, channels, place) => {
      if (place === "middle" && midAttention) own.attention(name, channels, normGroups);
    };
    const path = pathOf(config, side);
    if (side === "encoder") {
      descentParameters(own, path, 0, attention);
      own.norm("conv_norm_out", widest);
      own.affine("conv_out", [path.outChannels, widest, 3, 3]);
    } else {
      own.affine("conv_in", [widest, latent, 3, 3]);
      middleParameters(own.residual, widest, 0, attention);
      ascentParameters(own, path, undefined, 0, attention);
    }
    for (const [name, spec] of own.specs) specs.set(`${side}.${name}`, spec);
  }
  const { specs: both, affine } = blockParameters({ scaleShift: false });
  if (config.quantConvolution) affine("quant_conv", [2 * latent, 2 * latent, 1, 1]);
  if (config.postQuantConvolution) affine("post_quant_conv", [latent, latent, 1, 1]);
  return new Map([...specs, ...both]);
}

function checkShape(what: string, x: tf.Tensor, channels: number, divisor: number): void {
  const [, height, width, own] = x.shape;
  if (x.rank !== 4 || own !== channels || height! % divisor !== 0 || width! % divisor !== 0)
    throw new RangeError(
      `autoencoder: ${what} have shape [${x.shape}], expected [batch, height, width, ${channels}]${divisor > 1 ? ` with sides that are multiples of ${divisor}` : ""}.`,
    );
}

/**
 * An autoencoder with given parameters.
 *
 * @throws Error naming a parameter that is missing, superfluous or of another shape
 */
export function autoencoder(all: ReadonlyMap<string, tf.Tensor>, config: AutoencoderConfig): Autoencoder {
  checkParameters("autoencoder", all, autoencoderParameters(config));
  const scopes = {
    encoder: scopeOf(all, pathOf(config, "encoder"), "encoder."),
    decoder: scopeOf(all, pathOf(config, "decoder"), "decoder."),
    outside: scopeOf(all, pathOf(config, "encoder")),
  };
  const reduction = 2 ** (config.blockChannels.length - 1);
  return {
    config,
    all,
    reduction,
    encode(images) {
      checkShape("images", images, config.inChannels, reduction);
      const [mean, logVariance] = tf.tidy(() => {
        const { middle } = descend(scopes.encoder, images, undefined, attend);
        const out = outward(scopes.encoder, middle);
        const moments = config.quantConvolution ? convolve(scopes.outside.under("quant_conv"), out, 0) : out;
        const [centre, log] = tf.split(moments, 2, 3);
        return [centre!, tf.clipByValue(log!, -30, 20)] as const;
      });
      return { mean, logVariance };
    },
    decode(latents) {
      checkShape("latents", latents, config.latentChannels, 1);
      return tf.tidy(() => {
        const z = tf.div(latents, config.scalingFactor);
        const from = config.postQuantConvolution
          ? convolve(scopes.outside.under("post_quant_conv"), z, 0)
          : z;
        const h = convolve(scopes.decoder.under("conv_in"), from);
        const middle = throughMiddle(scopes.decoder, h, undefined, attend);
        return ascend(scopes.decoder, middle, undefined, undefined, attend);
      });
    },
    dispose: () => tf.dispose([...all.values()]),
  };
}

/** A fresh autoencoder, its parameters drawn from the seed. */
export function createAutoencoder({
  seed = 0,
  ...options
}: Partial<AutoencoderConfig> & { seed?: number | string } = {}): Autoencoder {
  const config = autoencoderConfig(options);
  return autoencoder(initialise(autoencoderParameters(config), seed), config);
}
