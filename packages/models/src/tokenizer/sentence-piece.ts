import type { AddedToken, TokenizerFiles } from "./tokenizer.ts";

/** What a piece is, by SentencePiece's numbers. */
export const pieceType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** A SentencePiece vocabulary of the BPE kind, as Llama's models carry it: the best-scored merge goes first. */
export interface SentencePieces {
  /** With U+2581 for a space. */
  pieces: string[];
  scores: ArrayLike<number>;
  types: ArrayLike<number>;
  bosId?: number;
  eosId?: number;
  padId?: number;
  unkId?: number;
  addBos: boolean;
  addEos: boolean;
  /** Whether text is encoded as if a space preceded it. */
  spacePrefix: boolean;
  chatTemplate?: string;
}

const space = "\u2581";
const longestPiece = 512;

/** Every merge that makes a piece from two others, the best score first: SentencePiece's order as ranks. */
function merges({ pieces, scores, types }: SentencePieces, ids: Map<string, number>): [string, string][] {
  const usable = (id: number | undefined): id is number => id !== undefined && types[id] === pieceType.normal;
  const made: { id: number; pairs: [string, string][] }[] = [];
  for (const [id, piece] of pieces.entries()) {
    if (!usable(id) || ids.get(piece) !== id) continue;
    const characters = Array.from(piece);
    if (characters.length < 2) continue;
    if (characters.length > longestPiece)
      throw new Error(
        `the vocabulary's piece ${id} has ${characters.length} characters, more than ${longestPiece}`,
      );
    const pairs: [number, number, [string, string]][] = [];
    for (let at = 1; at < characters.length; at++) {
      const left = characters.slice(0, at).join("");
      const right = characters.slice(at).join("");
      const [l, r] = [ids.get(left), ids.get(right)];
      if (usable(l) && usable(r)) pairs.push([l, r, [left, right]]);
    }
    pairs.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    if (pairs.length > 0) made.push({ id, pairs: pairs.map(([, , pair]) => pair) });
  }
  made.sort((a, b) => scores[b.id]! - scores[a.id]! || a.id - b.id);
  return made.flatMap(({ pairs }) => pairs);
}

/** What surrounds a text, as a post-processor of `tokenizer.json`. */
export function surroundings(bos: AddedToken | undefined, eos: AddedToken | undefined): unknown {
  if (!bos && !eos) return null;
  const special = (token: AddedToken | undefined) =>
    token ? [{ SpecialToken: { id: token.content, type_id: 0 } }] : [];
  const sequence = (id: string) => [...special(bos), { Sequence: { id, type_id: 0 } }, ...special(eos)];
  const tokens = [bos, eos].filter((token) => token !== undefined);
  return {
    type: "TemplateProcessing",
    single: sequence("A"),
    pair: [...sequence("A"), ...sequence("B")],
    special_tokens: Object.fromEntries(
      tokens.map(({ id, content }) => [content, { id: content, ids: [id], tokens: [content] }]),
    ),
  };
}

/** The `tokenizer_config.json` of a tokenizer made here: one that any reader takes from `tokenizer.json` as it is. */
export function tokenizerConfig(options: {
  pieces: readonly string[];
  bosId?: number;
  eosId?: number;
  padId?: number;
  unkId?: number;
  chatTemplate?: string;
}): Record<string, unknown> {
  const { pieces, bosId, eosId, padId, unkId, chatTemplate } = options;
  const token = (key: string, id: number | undefined) =>
    id === undefined || pieces[id] === undefined ? {} : { [key]: pieces[id] };
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    clean_up_tokenization_spaces: false,
    ...token("bos_token", bosId),
    ...token("eos_token", eosId),
    ...token("pad_token", padId),
    ...token("unk_token", unkId),
    ...(chatTemplate !== undefined && { chat_template: chatTemplate }),
  };
}

/** The special and user-defined pieces, as added tokens. */
export function addedTokens(pieces: readonly string[], types: ArrayLike<number>): AddedToken[] {
  return pieces.flatMap((content, id) => {
    const special = types[id] === pieceType.control || types[id] === pieceType.unknown;
    if (!special && types[id] !== pieceType.userDefined) return [];
    return [{ id, content, special, normalized: false, single_word: false, lstrip: false, rstrip: false }];
  });
}

/** A SentencePiece vocabulary as the `tokenizer.json` and `tokenizer_config.json` that give the same ids. */
export function sentencePieceFiles(vocabulary: SentencePieces): TokenizerFiles {
  const { pieces, types, bosId, eosId, unkId, addBos, addEos, spacePrefix } = vocabulary;
  // The first of two equal pieces is the one that text becomes; a map also keeps a piece called __proto__.
  const ids = new Map<string, number>();
  for (const [id, piece] of pieces.entries()) if (!ids.has(piece)) ids.set(piece, id);
  const added = addedTokens(pieces, types);
  const at = (id: number | undefined) => added.find((token) => token.id === id);
  const replace = { type: "Replace", pattern: { String: " " }, content: space };
  const fuse = [
    { type: "Replace", pattern: { String: space }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
  ];
  return {
    tokenizer: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: spacePrefix
        ? { type: "Sequence", normalizers: [{ type: "Prepend", prepend: space }, replace] }
        : replace,
      pre_tokenizer: null,
      post_processor: surroundings(addBos ? at(bosId) : undefined, addEos ? at(eosId) : undefined),
      decoder: {
        type: "Sequence",
        decoders: spacePrefix ? [...fuse, { type: "Strip", content: " ", start: 1, stop: 0 }] : fuse,
      },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: unkId === undefined ? null : (pieces[unkId] ?? null),
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: true,
        byte_fallback: true,
        ignore_merges: false,
        vocab: Object.fromEntries(ids),
        merges: merges(vocabulary, ids),
      },
    },
    config: tokenizerConfig(vocabulary),
  };
}
