import { preTokenizerNamed } from "./pre-tokenizer.ts";
import { addedTokens, surroundings, tokenizerConfig } from "./sentence-piece.ts";
import type { TokenizerFiles } from "./tokenizer.ts";

/** A byte-level BPE vocabulary as a GGUF file carries it. */
export interface ByteLevelBpe {
  pieces: string[];
  /** By SentencePiece's numbers, which GGUF uses for every kind of vocabulary. */
  types: ArrayLike<number>;
  /** "left right", the first to be applied first. */
  merges: string[];
  /** `tokenizer.ggml.pre` */
  preTokenizer: string;
  bosId?: number;
  eosId?: number;
  padId?: number;
  unkId?: number;
  addBos: boolean;
  addEos: boolean;
  chatTemplate?: string;
}

/** A byte-level BPE vocabulary as the `tokenizer.json` and `tokenizer_config.json` that give the same ids. */
export function byteLevelBpeFiles(vocabulary: ByteLevelBpe): TokenizerFiles {
  const { pieces, types, merges, bosId, eosId, addBos, addEos } = vocabulary;
  const { preTokenizer, ignoreMerges } = preTokenizerNamed(vocabulary.preTokenizer);
  const added = addedTokens(pieces, types);
  const at = (id: number | undefined) => added.find((token) => token.id === id);
  const ids = new Map<string, number>();
  for (const [id, piece] of pieces.entries()) if (!ids.has(piece)) ids.set(piece, id);
  return {
    tokenizer: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: null,
      pre_tokenizer: preTokenizer,
      post_processor: surroundings(addBos ? at(bosId) : undefined, addEos ? at(eosId) : undefined),
      decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: ignoreMerges,
        vocab: Object.fromEntries(ids),
        merges: merges.map((merge) => merge.split(" ", 2)),
      },
    },
    config: tokenizerConfig(vocabulary),
  };
}
