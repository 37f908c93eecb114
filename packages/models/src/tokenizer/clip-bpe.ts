import type { TokenizerFiles } from "./tokenizer.ts";

/** CLIP's vocabulary as its `vocab.json` and `merges.txt` have it. */
export interface ClipBpe {
  /** Pieces by id; the last of a word ends in `</w>`. */
  vocab: Record<string, number>;
  /** Pairs, the first to be applied first. */
  merges: [string, string][];
  /** Default `<|startoftext|>`. */
  bos?: string;
  /** Default `<|endoftext|>`. */
  eos?: string;
  /** What texts are padded with; default the end's. */
  pad?: string;
}

/** Words, runs of letters, single digits, and runs of all else (Radford et al. 2021, https://arxiv.org/abs/2103.00020). */
const words = String.raw`<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`;

/**
 * CLIP's lower-cased byte-level BPE as the `tokenizer.json` and `tokenizer_config.json` that give the same ids.
 *
 * @throws Error where the vocabulary lacks a special token
 */
export function clipBpeFiles({
  vocab,
  merges,
  bos = "<|startoftext|>",
  eos = "<|endoftext|>",
  pad = eos,
}: ClipBpe): TokenizerFiles {
  const idOf = (piece: string): number => {
    if (!Object.hasOwn(vocab, piece)) throw new Error(`vocab.json: it lacks ${piece}`);
    return vocab[piece]!;
  };
  const special = (content: string) => ({
    id: idOf(content),
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  idOf(pad);
  return {
    tokenizer: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: [special(bos), special(eos)],
      normalizer: {
        type: "Sequence",
        normalizers: [
          { type: "NFC" },
          { type: "Replace", pattern: { Regex: String.raw`\s+` }, content: " " },
          { type: "Lowercase" },
        ],
      },
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [
          { type: "Split", pattern: { Regex: words }, behavior: "Removed", invert: true },
          { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
        ],
      },
      post_processor: {
        type: "RobertaProcessing",
        sep: [eos, idOf(eos)],
        cls: [bos, idOf(bos)],
        trim_offsets: false,
        add_prefix_space: false,
      },
      decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: eos,
        continuing_subword_prefix: "",
        end_of_word_suffix: "</w>",
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab,
        merges,
      },
    },
    config: {
      tokenizer_class: "CLIPTokenizer",
      bos_token: bos,
      eos_token: eos,
      pad_token: pad,
      unk_token: eos,
    },
  };
}
