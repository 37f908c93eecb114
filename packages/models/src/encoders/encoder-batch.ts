import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Encoder } from "./encoder.ts";
import { longestInput } from "./encoder-config.ts";

/** A text, or a pair such as premise and hypothesis. */
export type EncoderText = string | readonly [string, string];

/** Token ids as the model's template lays them out, and which of the two texts each belongs to. */
export interface EncoderItem {
  ids: ArrayLike<number>;
  /** Default 0 each. */
  types?: ArrayLike<number>;
}

/** Items as one rectangle, padded on the right to the longest of them. */
export interface EncoderBatch {
  rows: number;
  length: number;
  /** [rows × length] */
  ids: Int32Array;
  /** [rows × length] */
  types: Int32Array;
  /** [rows]: how many tokens are no padding. */
  lengths: Int32Array;
}

/** Lays items out in one rectangle. @throws when an item has no token, or not one type a token. */
export function encoderBatch(items: readonly EncoderItem[], padId = 0): EncoderBatch {
  const rows = items.length;
  const lengths = Int32Array.from(items, ({ ids }) => ids.length);
  const length = lengths.reduce((most, each) => Math.max(most, each), 0);
  const ids = new Int32Array(rows * length).fill(padId);
  const types = new Int32Array(rows * length);
  items.forEach((item, row) => {
    if (item.ids.length === 0) throw new Error(`encoderBatch: item ${row} has no token.`);
    if (item.types && item.types.length !== item.ids.length)
      throw new Error(
        `encoderBatch: item ${row} has ${item.ids.length} ids and ${item.types.length} token types, expected one each.`,
      );
    ids.set(item.ids, row * length);
    if (item.types) types.set(item.types, row * length);
  });
  return { rows, length, ids, types, lengths };
}

/** The model's tokenizer. @throws when it has none. */
export function encoderTokenizer({
  tokenizer,
}: Encoder): Tokenizer & Required<Pick<Tokenizer, "encodeInput">> {
  if (!tokenizer?.encodeInput)
    throw new Error("the encoder has no tokenizer; give it one, or give token ids instead of texts.");
  return tokenizer as Tokenizer & Required<Pick<Tokenizer, "encodeInput">>;
}

/**
 * A text or pair as the model's template has it, cut to `maxLength` tokens (the model's own limit by default), the longer of a pair
 * first.
 *
 * @throws when the model has no tokenizer, or `maxLength` is beyond the model's positions.
 */
export function encoderItem(
  model: Encoder,
  text: EncoderText,
  maxLength?: number,
): { ids: number[]; types: number[] } {
  const limit = longestInput(model.config);
  if (maxLength !== undefined && !(Number.isInteger(maxLength) && maxLength >= 1 && maxLength <= limit))
    throw new RangeError(
      `maxLength must be a whole number from 1 to the model's ${limit} positions, got ${maxLength}`,
    );
  const [a, b] = typeof text === "string" ? [text, undefined] : text;
  return encoderTokenizer(model).encodeInput(a, b, { maxLength: maxLength ?? limit });
}

/** Texts or pairs as one batch; see `encoderItem`. */
export function textBatch(
  model: Encoder,
  texts: readonly EncoderText[],
  { maxLength }: { maxLength?: number } = {},
): EncoderBatch {
  return encoderBatch(
    texts.map((text) => encoderItem(model, text, maxLength)),
    model.config.padId,
  );
}
