import { cacheWrite, gatherRows, linear, reshape } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import {
  collectRows,
  type DecodingOptions,
  drawRows,
  type Generated,
  type GeneratedToken,
  type RowDecoder,
  tokenByToken,
} from "../decoding-loop.ts";
import { bidirectionalLayout } from "../encoders/encode.ts";
import { encoderBatch } from "../encoders/encoder-batch.ts";
import { compactCache, createCache, disposeCache } from "../key-value-cache.ts";
import { noBranch } from "../token-rows.ts";
import { type KeysAndValues, keysAndValues, throughStack } from "./t5-blocks.ts";
import { type T5, t5HeadWeight } from "./t5-model.ts";
import { headStates, t5EncoderStates } from "./t5-scoring.ts";

export interface Seq2SeqOptions extends DecodingOptions {
  /** Token ids, the end-of-sequence token included as T5 was trained; lengths may differ. */
  inputs: ArrayLike<number>[];
}

/** What the decoder reads of the inputs, made once: each layer's keys and values [rows, length, heads·headSize]. */
interface ReadInputs {
  lengths: Int32Array;
  length: number;
  layers: KeysAndValues[];
}

function readInputs(model: T5, inputs: ArrayLike<number>[]): ReadInputs {
  const batch = encoderBatch(
    inputs.map((ids) => ({ ids })),
    model.config.padId,
  );
  const { rows, length, lengths } = batch;
  const layers = tf.tidy(() => {
    const states = reshape(t5EncoderStates(model, batch), [rows * length, model.config.hiddenSize]);
    return Array.from({ length: model.config.decoderLayers }, (_, layer) => {
      const { k, v } = keysAndValues(model, `decoder.block.${layer}.layer.1.EncDecAttention`, states, rows);
      return { k: tf.keep(k), v: tf.keep(v) };
    });
  });
  return { lengths, length, layers };
}

function keepInputs({ lengths, length, layers }: ReadInputs, rows: number[]): ReadInputs {
  const index = tf.tensor1d(rows, "int32");
  const pick = (x: tf.Tensor) => {
    const kept = tf.tidy(() => {
      const flat = gatherRows(reshape(x, [x.shape[0]!, -1]), index);
      return tf.keep(reshape(flat, [rows.length, x.shape[1]!, x.shape[2]!]));
    });
    x.dispose();
    return kept;
  };
  const picked = layers.map(({ k, v }) => ({ k: pick(k), v: pick(v) }));
  index.dispose();
  return { lengths: Int32Array.from(rows, (row) => lengths[row]!), length, layers: picked };
}

/** The decoder with the inputs read, and a cache for `capacity` tokens a row. */
function seq2SeqDecoder(model: T5, inputs: ArrayLike<number>[], capacity: number): RowDecoder {
  const { config } = model;
  const sizes = { layers: config.decoderLayers, kvHeads: config.heads, headSize: config.headSize };
  let input = readInputs(model, inputs);
  let cache = createCache(sizes, inputs.length, capacity);
  return {
    read(tokens, offsets) {
      const rows = tokens.length;
      // Rows that have ended stay where they did; all others have read as many tokens as each other.
      const from = Math.max(...offsets);
      const ids = Int32Array.from(tokens, (row) => row[0]!);
      return tf.tidy(() => {
        const layout = tf.tensor2d(
          offsets.flatMap((offset) => [offset, 0, noBranch]),
          [rows, 3],
          "int32",
        );
        const states = throughStack(
          model,
          "decoder",
          tf.tensor2d(ids, [rows, 1], "int32"),
          {
            rows,
            layout,
            from,
            keys: capacity,
            crossLayout: bidirectionalLayout(input.lengths, input.length),
          },
          {
            own: (layer, { k, v }) => {
              const kept = { k: cache.keys[layer]!, v: cache.values[layer]! };
              cacheWrite(kept.k, k, layout);
              cacheWrite(kept.v, v, layout);
              return kept;
            },
            crossed: (layer) => input.layers[layer]!,
          },
        );
        return linear(headStates(model, states), t5HeadWeight(model)) as tf.Tensor2D;
      });
    },
    keep(rows) {
      cache = compactCache(cache, rows);
      input = keepInputs(input, rows);
    },
    dispose() {
      disposeCache(cache);
      for (const { k, v } of input.layers) tf.dispose([k, v]);
    },
  };
}

/** The tokens of each step. */
function stepsOf(model: T5, options: Seq2SeqOptions): AsyncGenerator<GeneratedToken[]> {
  const { inputs, maxTokens } = options;
  if (!Number.isInteger(maxTokens) || maxTokens < 1)
    throw new RangeError(`maxTokens must be a whole number of at least 1, got ${maxTokens}`);
  const starts = inputs.map(() => [model.config.startId]);
  return drawRows(model, starts, () => seq2SeqDecoder(model, inputs, maxTokens), options);
}

/**
 * Writes an output to every input and yields each token as it is drawn.
 *
 * The inputs go through the encoder once; each step reads one token a row through a cache of the decoder's own keys and values and
 * those of the inputs.
 *
 * @throws when an input has no token, or an option can't be.
 */
export async function* streamSeq2Seq(
  model: T5,
  options: Seq2SeqOptions,
): AsyncGenerator<GeneratedToken, void, undefined> {
  yield* tokenByToken(stepsOf(model, options));
}

/** Writes an output to every input. @throws when an input has no token, or an option can't be. */
export async function generateSeq2Seq(model: T5, options: Seq2SeqOptions): Promise<Generated> {
  return collectRows(options.inputs.length, stepsOf(model, options), options.onToken?.bind(options));
}
