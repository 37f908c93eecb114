import type { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";

/** Ids as a model's template lays them out, and which text each belongs to. */
export interface ModelInput {
  ids: number[];
  /** Token types: those of the template, 0 where it says nothing. */
  types: number[];
}

/**
 * How many tokens of two texts are kept where all may be `limit`: the longer is cut to what the shorter leaves, and both to halves
 * where neither fits; of an odd limit the longer (of equals the second) has one more, as Hugging Face's "longest first" cuts.
 */
export function keptLengths(a: number, b: number, limit: number): [number, number] {
  if (a + b <= limit) return [a, b];
  const shorter = Math.min(a, b);
  const half = Math.floor(limit / 2);
  const [less, more] = shorter <= half ? [shorter, limit - shorter] : [half, limit - half];
  return a > b ? [more, less] : [less, more];
}

/**
 * Puts one or two encoded texts into the template of a tokenizer's post-processor, by seeing where it puts stand-ins.
 *
 * @param maxLength at most this many ids, special ones included
 * @throws when the template's own tokens leave no room
 */
export function modelInput(
  tokenizer: HuggingFaceTokenizer,
  hasTemplate: boolean,
  a: number[],
  b: number[] | undefined,
  maxLength = Number.POSITIVE_INFINITY,
): ModelInput {
  const standIns = ["\0", "\u0001"];
  const pair = b === undefined ? null : [standIns[1]!];
  const made = hasTemplate ? tokenizer.post_processor!.post_process([standIns[0]!], pair, true) : undefined;
  // A processor that only keeps offsets hands both texts back as they came.
  const tokens = made ? [...made.tokens, ...(made.tokens_pair ?? [])] : [standIns[0]!, ...(pair ?? [])];
  const types = made?.token_type_ids ?? tokens.map(() => 0);
  const own = tokens.filter((token) => !standIns.includes(token)).length;
  const room = maxLength - own;
  if (room < 1)
    throw new RangeError(
      `${maxLength} tokens leave no room for a text: the model's template alone takes ${own}.`,
    );
  const [keptA, keptB] = keptLengths(a.length, b?.length ?? 0, room);
  const parts = [a.slice(0, keptA), (b ?? []).slice(0, keptB)];
  const out: ModelInput = { ids: [], types: [] };
  tokens.forEach((token, i) => {
    const part = standIns.indexOf(token);
    const ids = part < 0 ? [tokenizer.token_to_id(token)!] : parts[part]!;
    for (const id of ids) {
      out.ids.push(id);
      out.types.push(types[i]!);
    }
  });
  return out;
}
