import { linear, type PackedDecoder, packDecoder } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { CausalLm } from "./causal-lm.ts";
import { decoderOf, decodesWhole, decodeToken, withCache } from "./decode.ts";
import {
  collectRows,
  type DecodingOptions,
  drawRows,
  type Generated,
  type GeneratedToken,
  type RowDecoder,
  tokenByToken,
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

/** What a forward pass or a step reads of its tokens. */
interface Placed {
  ids: Int32Array;
  positions: Int32Array;
  /** [rows, 3], as of `attention` */
  layout: Int32Array;
  /** Where each row's last token lies. */
  ends: Int32Array;
  length: number;
}

function placed(tokens: ArrayLike<number>[], offsets: number[]): Placed {
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
  return { ids, positions, layout, ends, length };
}

/** The logits after each row's last token [rows, vocabulary]; the new tokens' keys and values go to the cache. */
function forward(model: CausalLm, cache: KeyValueCache, tokens: Placed, reach: number): tf.Tensor2D {
  const { ids, positions, layout, ends, length } = tokens;
  const rows = ends.length;
  return tf.tidy(() => {
    const hidden = familyOf(model.config.modelType).hidden(model, {
      ids: tf.tensor2d(ids, [rows, length], "int32"),
      positions: tf.tensor2d(positions, [rows, length], "int32"),
      layout: tf.tensor2d(layout, [rows, 3], "int32"),
      reach,
      ...(length > 1 && { wanted: tf.tensor1d(ends, "int32") }),
      cache,
    });
    cache.empty = false;
    return linear(hidden, headWeight(model)) as tf.Tensor2D;
  });
}

/** A causal model with a cache for `capacity` tokens a row, of which `steps` are read one by one. */
function causalDecoder(model: CausalLm, rows: number, capacity: number, steps: number): RowDecoder {
  let cache = createCache(model.config, rows, capacity);
  let packed: PackedDecoder | undefined;
  return {
    read(tokens, offsets) {
      const at = placed(tokens, offsets);
      if (at.length > 1 || cache.empty || !decodesWhole(model)) return forward(model, cache, at, capacity);
      packed ??= packDecoder(decoderOf(model, cache, capacity), { rows: tokens.length, steps });
      return decodeToken(packed.decoder, at.ids, at.positions, at.layout);
    },
    keep(kept) {
      cache = compactCache(cache, kept);
      if (packed) packed = { ...packed, decoder: withCache(packed.decoder, cache) };
    },
    dispose() {
      disposeCache(cache);
      packed?.dispose();
    },
  };
}

/** The tokens of each step. */
function stepsOf(model: CausalLm, options: GenerateOptions): AsyncGenerator<GeneratedToken[]> {
  const { prompts, maxTokens } = options;
  checkPrompts(model, options);
  const capacity = Math.max(0, ...prompts.map(({ length }) => length)) + maxTokens - 1;
  return drawRows(model, prompts, () => causalDecoder(model, prompts.length, capacity, maxTokens), options);
}

/**
 * Samples continuations and yields each token as it is drawn.
 *
 * Prompts are read in one forward pass, the head on their last tokens only; later steps read one token a row through
 * the cache, and rows that have ended are dropped from the batch once they are half of it. The model must not change before the last token.
 *
 * @throws when a prompt is empty or does not fit the context, or an option can't be.
 */
export async function* streamTokens(
  model: CausalLm,
  options: GenerateOptions,
): AsyncGenerator<GeneratedToken, void, undefined> {
  yield* tokenByToken(stepsOf(model, options));
}

/**
 * Samples a continuation of every prompt.
 *
 * @throws when a prompt is empty or does not fit the context, or an option can't be.
 */
export async function generate(model: CausalLm, options: GenerateOptions): Promise<Generated> {
  return collectRows(options.prompts.length, stepsOf(model, options), options.onToken?.bind(options));
}
