import { addedTokens, pieceType, surroundings, tokenizerConfig } from "./sentence-piece.ts";
import type { SentencePieceModel } from "./sentence-piece-model.ts";
import type { AddedToken, TokenizerFiles } from "./tokenizer.ts";

export interface UnigramOptions {
  /** T5's sentinels, <extra_id_0> the last; 100 by default. */
  extraIds?: number;
}

const base64 = (bytes: Uint8Array): string => {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
};

/** SentencePiece's normalisation as a `tokenizer.json` names it; the map itself is carried along for other readers. */
function normalizerOf({ name, charsMap }: SentencePieceModel["normalizer"]): unknown {
  if (charsMap.length === 0) return null;
  if (name !== "nmt_nfkc" && name !== "nfkc")
    throw new Error(`its normalisation "${name}" is not supported; supported are nmt_nfkc, nfkc and none.`);
  return { type: "Precompiled", precompiled_charsmap: base64(charsMap) };
}

/**
 * A SentencePiece model of the unigram kind, as T5's `spiece.model`, as the `tokenizer.json` and `tokenizer_config.json` that give the
 * same ids: the text's end is marked, and sentinels follow the pieces.
 *
 * @throws when the model is of another kind, or lacks an unknown piece
 */
export function unigramFiles(
  model: SentencePieceModel,
  { extraIds = 100 }: UnigramOptions = {},
): TokenizerFiles {
  const { pieces, scores, types, normalizer } = model;
  if (model.modelType !== 1)
    throw new Error("it is no unigram model; BPE ones must come with a tokenizer.json.");
  if (types.includes(pieceType.byte)) throw new Error("unigram models with byte pieces are not supported.");
  if (!Number.isInteger(extraIds) || extraIds < 0 || extraIds > 65536)
    throw new RangeError(`extraIds must be a whole number from 0 to 65536, got ${extraIds}`);
  const unkId = types.indexOf(pieceType.unknown);
  if (unkId < 0) throw new Error("it has no unknown piece.");
  const find = (piece: string) => {
    const id = pieces.indexOf(piece);
    return id < 0 ? undefined : id;
  };
  const sentinels = Array.from({ length: extraIds }, (_, i): AddedToken => {
    const content = `<extra_id_${extraIds - 1 - i}>`;
    return {
      ...{ id: pieces.length + i, content, special: true, normalized: false },
      ...{ single_word: false, lstrip: false, rstrip: false },
    };
  });
  const added = addedTokens(pieces, types);
  const [eosId, padId] = [find("</s>"), find("<pad>")];
  const metaspace = {
    type: "Metaspace",
    replacement: "\u2581",
    add_prefix_space: normalizer.addDummyPrefix,
    prepend_scheme: normalizer.addDummyPrefix ? "always" : "never",
  };
  return {
    tokenizer: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: [...added, ...sentinels],
      normalizer: normalizerOf(normalizer),
      pre_tokenizer: normalizer.removeExtraWhitespaces
        ? { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, metaspace] }
        : metaspace,
      post_processor: surroundings(
        undefined,
        added.find(({ id }) => id === eosId),
      ),
      decoder: metaspace,
      model: {
        type: "Unigram",
        unk_id: unkId,
        vocab: [
          ...pieces.map((piece, id): [string, number] => [piece, scores[id]!]),
          ...sentinels.map(({ content }): [string, number] => [content, 0]),
        ],
        byte_fallback: false,
      },
    },
    config: {
      ...tokenizerConfig({
        ...{ pieces, unkId },
        ...(eosId !== undefined && { eosId }),
        ...(padId !== undefined && { padId }),
      }),
      additional_special_tokens: sentinels.map(({ content }) => content),
    },
  };
}
