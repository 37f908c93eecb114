import { reshape } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Encoder } from "./encoder.ts";
import { type EncoderBatch, type EncoderText, encoderBatch, encoderItem } from "./encoder-batch.ts";

export interface EncodeTextsOptions {
  /** Tokens a text is cut to; default the model's positions. */
  maxLength?: number;
  /** Tokens a batch, padding included; 8192 by default. */
  batchTokens?: number;
  signal?: AbortSignal;
}

/** Runs f on texts in batches of like length, and gives each text's row of the result [rows, width]. */
export async function overTexts(
  model: Encoder,
  texts: readonly EncoderText[],
  { maxLength, batchTokens = 8192, signal }: EncodeTextsOptions,
  f: (batch: EncoderBatch) => tf.Tensor2D,
): Promise<Float32Array[]> {
  const items = texts.map((text) => encoderItem(model, text, maxLength));
  const order = [...items.keys()].sort((a, b) => items[a]!.ids.length - items[b]!.ids.length || a - b);
  const out = new Array<Float32Array>(texts.length);
  for (let from = 0; from < order.length; ) {
    signal?.throwIfAborted();
    let to = from + 1;
    while (to < order.length && (to + 1 - from) * items[order[to]!]!.ids.length <= batchTokens) to++;
    const rows = order.slice(from, to);
    const batch = encoderBatch(
      rows.map((row) => items[row]!),
      model.config.padId,
    );
    const result = tf.tidy(() => reshape(f(batch), [rows.length, -1]));
    const values = (await result.data()) as Float32Array;
    result.dispose();
    const width = values.length / rows.length;
    rows.forEach((row, i) => {
      out[row] = values.slice(i * width, (i + 1) * width);
    });
    from = to;
  }
  return out;
}
