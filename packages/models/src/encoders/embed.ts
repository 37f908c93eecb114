import { reshape } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { pool } from "./classify.ts";
import { encode, encodeFirst, firstStates } from "./encode.ts";
import type { Encoder } from "./encoder.ts";
import type { EncoderBatch, EncoderText } from "./encoder-batch.ts";
import { type EncodeTextsOptions, overTexts } from "./over-texts.ts";

export interface EmbedOptions {
  /** The mean of the tokens' states (default), the first token's state, or what the pooler makes of it. */
  pooling?: "mean" | "first" | "pooler";
  /** Whether each embedding has length 1; true by default. */
  normalise?: boolean;
}

/** The mean of each row's states, padding left out, [rows, hiddenSize]. */
export function meanStates(hidden: tf.Tensor3D, lengths: Int32Array): tf.Tensor2D {
  const [rows, length] = hidden.shape;
  const weights = new Float32Array(rows * length);
  for (const [row, each] of lengths.entries()) weights.fill(1 / each, row * length, row * length + each);
  return tf.sum(tf.mul(hidden, tf.tensor3d(weights, [rows, length, 1])), 1);
}

/**
 * One vector a row, as sentence encoders give them (Reimers & Gurevych 2019, https://arxiv.org/abs/1908.10084), differentiable.
 *
 * @returns [rows, hiddenSize]
 */
export function embed(
  model: Encoder,
  batch: EncoderBatch,
  { pooling = "mean", normalise = true }: EmbedOptions = {},
): tf.Tensor2D {
  return tf.tidy(() => {
    const hidden = pooling === "mean" ? encode(model, batch) : encodeFirst(model, batch);
    const pooled =
      pooling === "mean"
        ? meanStates(hidden, batch.lengths)
        : pooling === "first"
          ? firstStates(hidden)
          : pool(model, hidden);
    if (!normalise) return pooled;
    const squares = tf.sum(tf.square(pooled), 1, true);
    // PyTorch's normalize divides by at least 1e-12; the square root of its square has a gradient at 0.
    return tf.mul(pooled, tf.rsqrt(tf.maximum(squares, 1e-24))) as tf.Tensor2D;
  });
}

/** The embeddings of texts, one array a text; texts of like length are computed together. */
export function embedTexts(
  model: Encoder,
  texts: readonly EncoderText[],
  options: EmbedOptions & EncodeTextsOptions = {},
): Promise<Float32Array[]> {
  return overTexts(
    model,
    texts,
    options,
    (batch) => reshape(embed(model, batch, options), [batch.rows, -1]) as tf.Tensor2D,
  );
}
