import type { AddedToken, TokenizerFiles } from "./tokenizer.ts";

/** A WordPiece vocabulary as BERT's `vocab.txt` and `tokenizer_config.json` give it. */
export interface WordPieces {
  /** In order of id; continuing pieces begin with ##. */
  pieces: readonly string[];
  lowercase: boolean;
  /** Default: as `lowercase`. */
  stripAccents?: boolean;
  /** Whether Chinese characters are words of their own; true by default. */
  splitChinese?: boolean;
  /** Default [CLS], [SEP], [PAD], [UNK] and [MASK]. */
  specials?: Partial<WordPieceSpecials>;
}

interface WordPieceSpecials {
  cls: string;
  sep: string;
  pad: string;
  unk: string;
  mask: string;
}

/**
 * A WordPiece vocabulary as the `tokenizer.json` and `tokenizer_config.json` that give the same ids, with BERT's template
 * [CLS] A [SEP] B [SEP].
 *
 * @throws when the vocabulary lacks one of [CLS], [SEP] and [UNK].
 */
export function wordPieceFiles(vocabulary: WordPieces): TokenizerFiles {
  const { pieces, lowercase, stripAccents = null, splitChinese = true } = vocabulary;
  const named = {
    cls: "[CLS]",
    sep: "[SEP]",
    pad: "[PAD]",
    unk: "[UNK]",
    mask: "[MASK]",
    ...vocabulary.specials,
  };
  const ids = new Map<string, number>();
  for (const [id, piece] of pieces.entries()) if (!ids.has(piece)) ids.set(piece, id);
  const needed = (piece: string): number => {
    const id = ids.get(piece);
    if (id === undefined) throw new Error(`the vocabulary of ${pieces.length} pieces lacks ${piece}`);
    return id;
  };
  const [cls, sep] = [needed(named.cls), needed(named.sep)];
  needed(named.unk);
  const special = (content: string, type: number) => ({ SpecialToken: { id: content, type_id: type } });
  const sequence = (id: string, type: number) => ({ Sequence: { id, type_id: type } });
  const single = [special(named.cls, 0), sequence("A", 0), special(named.sep, 0)];
  const token = (content: string, id: number) => ({ id: content, ids: [id], tokens: [content] });
  const added = Object.values(named).flatMap((content): AddedToken[] => {
    const id = ids.get(content);
    if (id === undefined) return [];
    return [
      { id, content, special: true, normalized: false, single_word: false, lstrip: false, rstrip: false },
    ];
  });
  return {
    tokenizer: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: added.sort((a, b) => a.id - b.id),
      normalizer: {
        type: "BertNormalizer",
        clean_text: true,
        handle_chinese_chars: splitChinese,
        strip_accents: stripAccents,
        lowercase,
      },
      pre_tokenizer: { type: "BertPreTokenizer" },
      post_processor: {
        type: "TemplateProcessing",
        single,
        pair: [...single, sequence("B", 1), special(named.sep, 1)],
        special_tokens: { [named.cls]: token(named.cls, cls), [named.sep]: token(named.sep, sep) },
      },
      decoder: { type: "WordPiece", prefix: "##", cleanup: true },
      model: {
        type: "WordPiece",
        unk_token: named.unk,
        continuing_subword_prefix: "##",
        max_input_chars_per_word: 100,
        vocab: Object.fromEntries(ids),
      },
    },
    config: {
      tokenizer_class: "BertTokenizer",
      do_lower_case: lowercase,
      strip_accents: stripAccents,
      tokenize_chinese_chars: splitChinese,
      ...Object.fromEntries(
        Object.entries(named)
          .filter(([, content]) => ids.has(content))
          .map(([role, content]) => [`${role}_token`, content]),
      ),
    },
  };
}
