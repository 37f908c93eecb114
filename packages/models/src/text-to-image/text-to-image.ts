import type * as tf from "@tensorflow/tfjs-core";
import { disposeModel } from "../parameterised.ts";
import type { Autoencoder } from "./autoencoder.ts";
import { type ClipText, clipTextStates } from "./clip-text.ts";
import type { TextDenoiser } from "./text-denoiser.ts";

/** A latent diffusion model with what makes its conditions and pictures: a diffusers StableDiffusionPipeline. */
export interface TextToImage {
  /** Of latents, under a text's hidden states. */
  denoiser: TextDenoiser;
  text: ClipText;
  autoencoder: Autoencoder;
}

/**
 * Texts as the ids that the encoder reads: lower-cased, between start and end, cut and padded to the encoder's length.
 *
 * @returns [texts × positions]
 * @throws Error when the encoder has no tokenizer
 */
export function clipTextIds({ tokenizer, config }: ClipText, texts: readonly string[]): Int32Array {
  if (!tokenizer?.encodeInput)
    throw new Error("the text encoder has no tokenizer; give it one, or give ids instead of texts.");
  const { positions } = config;
  const padId = tokenizer.padId ?? tokenizer.eosId;
  if (padId === undefined) throw new Error("the text encoder's tokenizer has no token to pad with.");
  const ids = new Int32Array(texts.length * positions).fill(padId);
  texts.forEach((text, row) => {
    ids.set(tokenizer.encodeInput!(text, undefined, { maxLength: positions }).ids, row * positions);
  });
  return ids;
}

/** The hidden states of texts, the condition of a text-conditional denoiser; [texts, positions, hidden size]. */
export const textStates = (
  text: ClipText,
  texts: readonly string[],
  options: { skip?: number } = {},
): tf.Tensor3D => clipTextStates(text, clipTextIds(text, texts), texts.length, options);

/** Frees all three networks. */
export function disposeTextToImage({ denoiser, text, autoencoder }: TextToImage): void {
  denoiser.dispose();
  disposeModel(text);
  autoencoder.dispose();
}
