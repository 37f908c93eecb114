import { pieceType, type SentencePieces } from "./sentence-piece.ts";
import type { TokenizerFiles } from "./tokenizer.ts";

/** The pieces of a `tokenizer.json` in order of id, gaps named as llama.cpp names them, and what each of them is. */
export function piecesOf({ tokenizer }: TokenizerFiles): { pieces: string[]; types: number[] } {
  if (Array.isArray(tokenizer.model.vocab))
    throw new Error("a Unigram vocabulary can be written only as tokenizer.json");
  const pieces: string[] = [];
  const types: number[] = [];
  for (const [piece, id] of Object.entries(tokenizer.model.vocab)) pieces[id] = piece;
  for (const { id, content } of tokenizer.added_tokens) pieces[id] = content;
  const added = new Map(tokenizer.added_tokens.map((token) => [token.id, token]));
  const unknown = tokenizer.model.unk_token;
  for (let id = 0; id < pieces.length; id++) {
    const piece = pieces[id];
    const token = added.get(id);
    if (piece === undefined) pieces[id] = `[PAD${id}]`;
    if (piece === undefined) types.push(pieceType.unused);
    else if (piece === unknown) types.push(pieceType.unknown);
    else if (token) types.push(token.special ? pieceType.control : pieceType.userDefined);
    else if (tokenizer.model.byte_fallback && /^<0x[0-9A-F]{2}>$/.test(piece)) types.push(pieceType.byte);
    else types.push(pieceType.normal);
  }
  return { pieces, types };
}

interface PostProcessor {
  type?: string;
  processors?: PostProcessor[];
  single?: { SpecialToken?: { id: string }; Sequence?: unknown }[];
}

/** The special tokens that a post-processor puts before and after a text. */
function around(processor: unknown): { before: string[]; after: string[] } {
  const { type, processors = [], single = [] } = (processor ?? {}) as PostProcessor;
  if (type === "Sequence")
    return processors
      .map(around)
      .reduce((a, b) => ({ before: [...b.before, ...a.before], after: [...a.after, ...b.after] }), {
        before: [],
        after: [],
      });
  const text = single.findIndex((item) => item.Sequence);
  const tokens = (items: typeof single) => items.flatMap(({ SpecialToken }) => SpecialToken?.id ?? []);
  return { before: tokens(single.slice(0, Math.max(text, 0))), after: tokens(single.slice(text + 1)) };
}

/** Ids of the named special tokens, and whether the post-processor puts BOS and EOS around a text. */
export function specialsOf({ tokenizer, config }: TokenizerFiles, pieces: string[]) {
  const id = (key: string): number | undefined => {
    const value = config[key];
    const content = typeof value === "string" ? value : (value as { content?: string } | null)?.content;
    const at = content === undefined ? -1 : pieces.indexOf(content);
    return at < 0 ? undefined : at;
  };
  const [bosId, eosId] = [id("bos_token"), id("eos_token")];
  const { before, after } = around(tokenizer.post_processor);
  return {
    bosId,
    eosId,
    padId: id("pad_token"),
    unkId: id("unk_token"),
    addBos: bosId !== undefined && before.includes(pieces[bosId]!),
    addEos: eosId !== undefined && after.includes(pieces[eosId]!),
    ...(typeof config.chat_template === "string" && { chatTemplate: config.chat_template }),
  };
}

/** Whether a `tokenizer.json` is SentencePiece's BPE: characters and bytes rather than byte-level words. */
export function isSentencePiece({ tokenizer }: TokenizerFiles): boolean {
  return tokenizer.model.type === "BPE" && tokenizer.model.byte_fallback === true;
}

/** The SentencePiece vocabulary behind a `tokenizer.json`: a piece's score is minus the rank of the first merge that makes it. */
export function sentencePiecesOf(files: TokenizerFiles): SentencePieces {
  if (!isSentencePiece(files))
    throw new Error("the tokenizer is not SentencePiece's BPE with byte fallback, which this format needs");
  const { pieces, types } = piecesOf(files);
  const rank = new Map<string, number>();
  for (const merge of files.tokenizer.model.merges as (string | [string, string])[]) {
    const made = Array.isArray(merge) ? merge.join("") : merge.replace(" ", "");
    if (!rank.has(made)) rank.set(made, rank.size);
  }
  const scores = Float32Array.from(pieces, (piece, id) =>
    types[id] === pieceType.normal ? -(rank.get(piece) ?? rank.size + id) : 0,
  );
  const shape = JSON.stringify([files.tokenizer.normalizer, files.tokenizer.pre_tokenizer]);
  const spacePrefix = shape.includes('"Prepend"') || /"prepend_scheme":"(always|first)"/.test(shape);
  return { pieces, types, scores, spacePrefix, ...specialsOf(files, pieces) };
}
