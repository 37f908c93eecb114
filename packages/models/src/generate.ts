import { gatherRows, linear } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { CausalLm } from "./causal-lm.ts";
import { decoderOf, decodesWhole, decodeToken } from "./decode.ts";
import {
  collectRows,
  type DecodingOptions,
  drawRows,
  type Generated,
  type GeneratedToken,
  type RowDecoder,
} from "./decoding-loop.ts";
import { familyOf } from "./families.ts";
import type { KeyValueCache } from "./family.ts";
import { compactCache, createCache, disposeCache } from "./key-value-cache.ts";
import { headWeight } from "./scoring.ts";
import { noBranch } from "./token-rows.ts";

export interface GenerateOptions extends DecodingOptions {
  /** Token ids, BOS included where the model wants one; lengths may differ. */
  prompts: ArrayLike<number>[];
}

function checkPrompts(model: CausalLm, { prompts, maxTokens }: GenerateOptions): void {
  const { maxPositions } = model.config;
  if (!Number.isInteger(maxTokens) || maxTokens < 1)
    throw new RangeError(`maxTokens must be a whole number of at least 1, got ${maxTokens}`);
  for (let row = 0; row < prompts.length; row++) {
    const { length } = prompts[row]!;
    if (length === 0)
      throw new Error(`prompt ${row} has no token; give it at least the beginning-of-sequence token.`);
    if (length + maxTokens > maxPositions)
      throw new Error(
        `prompt ${row} has ${length} tokens and ${maxTokens} more are asked, but the model's context holds ` +
          `${maxPositions}; shorten the prompt or set maxTokens to at most ${Math.max(0, maxPositions - length)}.`,
      );
  }
}

/** The logits after each row's last token [rows, vocabulary]; the new tokens' keys and values go to the cache. */
function forward(
  model: CausalLm,
  cache: KeyValueCache,
  tokens: ArrayLike<number>[],
  offsets: number[],
  reach: number,
): tf.Tensor2D {
  const rows = tokens.length;
  const length = Math.max(...tokens.map((row) => row.length));
  const ids = new Int32Array(rows * length);
  const positions = new Int32Array(rows * length);
  const layout = new Int32Array(rows * 3);
  const ends = new Int32Array(rows);
  tokens.forEach((row, i) => {
    const offset = offsets[i]!;
    for (let t = 0; t < row.length; t++) {
      ids[i * length + t] = row[t]!;
      positions[i * length + t] = offset + t;
    }
    layout.set([offset, offset + row.length, noBranch], 3 * i);
    ends[i] = i * length + row.length - 1;
  });
  if (length === 1 && !cache.empty && decodesWhole(model))
    return decodeToken(decoderOf(model, cache, reach), ids, positions, layout);
  return tf.tidy(() => {
    const hidden = familyOf(model.config.modelType).hidden(model, {
      ids: tf.tensor2d(ids, [rows, length], "int32"),
      positions: tf.tensor2d(positions, [rows, length], "int32"),
      layout: tf.tensor2d(layout, [rows, 3], "int32"),
      reach,
      cache,
    });
    cache.empty = false;
    const last = length === 1 ? hidden : gatherRows(hidden, tf.tensor1d(ends, "int32"));
    return linear(last, headWeight(model)) as tf.Tensor2D;
  });
}

/** A causal model with a cache for `capacity` tokens a row. */
function causalDecoder(model: CausalLm, rows: number, capacity: number): RowDecoder {
  let cache = createCache(model.config, rows, capacity);
  return {
    read: (tokens, offsets) => forward(model, cache, tokens, offsets, capacity),
    keep: (kept) => {
      cache = compactCache(cache, kept);
    },
    dispose: () => disposeCache(cache),
  };
}

/**
 * Samples continuations and yields each token as it is drawn.
 *
 * Prompts are read in one forward pass, the head on their last tokens only; later steps read one token a row through
 * the cache, and rows that have ended are dropped from the batch once they are half of it.
 *
 * @throws when a prompt is empty or does not fit the context, or an option can't be.
 */
export async function* streamTokens(
  model: CausalLm,
  options: GenerateOptions,
): AsyncGenerator<GeneratedToken, void, undefined> {
  const { prompts, maxTokens } = options;
  checkPrompts(model, options);
  const capacity = Math.max(0, ...prompts.map(({ length }) => length)) + maxTokens - 1;
  yield* drawRows(model, prompts, () => causalDecoder(model, prompts.length, capacity), options);
}

/**
 * Samples a continuation of every prompt.
 *
 * @throws when a prompt is empty or does not fit the context, or an option can't be.
 */
export function generate(model: CausalLm, options: GenerateOptions): Promise<Generated> {
  return collectRows(options.prompts.length, streamTokens(model, options), options.onToken?.bind(options));
}
