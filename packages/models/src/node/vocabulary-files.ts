import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { byteLevelBpeFiles } from "../tokenizer/byte-level-bpe.ts";
import { clipBpeFiles } from "../tokenizer/clip-bpe.ts";
import { pieceType } from "../tokenizer/sentence-piece.ts";
import { readSentencePieceModel } from "../tokenizer/sentence-piece-model.ts";
import type { TokenizerFiles } from "../tokenizer/tokenizer.ts";
import { unigramFiles } from "../tokenizer/unigram.ts";
import { wordPieceFiles } from "../tokenizer/word-piece.ts";
import { readJson, readText } from "./json-file.ts";

type Json = Record<string, unknown>;

const textOf = (value: unknown): string | undefined => {
  const content = typeof value === "string" ? value : (value as { content?: unknown } | null)?.content;
  return typeof content === "string" ? content : undefined;
};

const flag = (value: unknown): boolean | undefined => (typeof value === "boolean" ? value : undefined);

/** BERT's `vocab.txt`, one piece a line. */
function fromVocabTxt(text: string, config: Json): TokenizerFiles {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  const roles = ["cls", "sep", "pad", "unk", "mask"] as const;
  const specials = Object.fromEntries(
    roles.flatMap((role) => {
      const content = textOf(config[`${role}_token`]);
      return content === undefined ? [] : [[role, content]];
    }),
  );
  const stripAccents = flag(config.strip_accents);
  const made = wordPieceFiles({
    pieces: lines,
    lowercase: flag(config.do_lower_case) ?? true,
    ...(stripAccents !== undefined && { stripAccents }),
    splitChinese: flag(config.tokenize_chinese_chars) ?? true,
    specials,
  });
  return { tokenizer: made.tokenizer, config: { ...made.config, ...config } };
}

/** The ids of a `vocab.json`. @throws Error on one that is none */
function idsOf(vocab: Json): Record<string, number> {
  for (const [piece, id] of Object.entries(vocab))
    if (!Number.isInteger(id) || (id as number) < 0 || (id as number) > 1 << 24)
      throw new Error(`vocab.json: the id of ${JSON.stringify(piece)} is ${JSON.stringify(id)}`);
  return vocab as Record<string, number>;
}

/** The lines of a `merges.txt`, without the one that names its version. */
const mergeLines = (text: string): string[] =>
  text.split(/\r?\n/).filter((line) => line && !line.startsWith("#version"));

/** CLIP's `vocab.json` and `merges.txt`. */
function fromClip(json: Json, merges: string, config: Json): TokenizerFiles {
  const vocab = idsOf(json);
  const pairs = mergeLines(merges).map((line, i): [string, string] => {
    const pair = line.split(" ");
    if (pair.length !== 2) throw new Error(`merges.txt: merge ${i + 1} is ${JSON.stringify(line)}`);
    return pair as [string, string];
  });
  const roles = (["bos", "eos", "pad"] as const).flatMap((role) => {
    const content = textOf(config[`${role}_token`]);
    return content === undefined ? [] : [[role, content]];
  });
  const made = clipBpeFiles({ vocab, merges: pairs, ...Object.fromEntries(roles) });
  return { tokenizer: made.tokenizer, config: { ...config, ...made.config } };
}

/** RoBERTa's `vocab.json` and `merges.txt`: byte-level BPE in the template <s> A </s></s> B </s>. */
function fromMerges(vocab: Json, merges: string, config: Json): TokenizerFiles {
  const pieces: string[] = [];
  for (const [piece, id] of Object.entries(idsOf(vocab))) pieces[id] = piece;
  const named = (role: string, usual: string) => textOf(config[`${role}_token`]) ?? usual;
  const [cls, sep] = [named("cls", "<s>"), named("sep", "</s>")];
  const [pad, unk, mask] = [named("pad", "<pad>"), named("unk", "<unk>"), named("mask", "<mask>")];
  const special = new Set([cls, sep, pad, unk, mask]);
  const idOf = (piece: string): number => {
    const id = pieces.indexOf(piece);
    if (id < 0) throw new Error(`vocab.json: it lacks ${piece}`);
    return id;
  };
  for (let id = 0; id < pieces.length; id++) pieces[id] ??= `[PAD${id}]`;
  const made = byteLevelBpeFiles({
    pieces,
    types: pieces.map((piece) => (special.has(piece) ? pieceType.control : pieceType.normal)),
    merges: mergeLines(merges),
    preTokenizer: "gpt-2",
    bosId: idOf(cls),
    eosId: idOf(sep),
    padId: idOf(pad),
    unkId: idOf(unk),
    addBos: true,
    addEos: true,
  });
  return {
    tokenizer: {
      ...made.tokenizer,
      post_processor: {
        type: "RobertaProcessing",
        sep: [sep, idOf(sep)],
        cls: [cls, idOf(cls)],
        trim_offsets: true,
        add_prefix_space: false,
      },
    },
    config: { ...made.config, cls_token: cls, sep_token: sep, mask_token: mask, ...config },
  };
}

/** T5's `spiece.model`. */
async function fromSentencePiece(path: string, config: Json): Promise<TokenizerFiles | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return undefined;
  if (found.size > 1 << 28) throw new Error(`${path}: too large for a vocabulary`);
  const extraIds = config.extra_ids;
  const made = unigramFiles(readSentencePieceModel(await readFile(path)), {
    ...(typeof extraIds === "number" && { extraIds }),
  });
  return { tokenizer: made.tokenizer, config: { ...made.config, ...config } };
}

/**
 * The tokenizer of a folder that has no `tokenizer.json` but the vocabulary files of old: BERT's `vocab.txt`, RoBERTa's or CLIP's
 * `vocab.json` with `merges.txt`, or T5's `spiece.model`; undefined where there is none of them.
 *
 * @throws Error where a file does not hold what it should.
 */
export async function vocabularyFiles(folder: string, config: Json): Promise<TokenizerFiles | undefined> {
  const model = (await readJson(join(folder, "config.json"))) ?? {};
  const says = (pattern: RegExp) =>
    pattern.test(String(config.tokenizer_class ?? "")) || pattern.test(String(model.model_type ?? ""));
  if (says(/bert/i) && !says(/roberta/i)) {
    const text = await readText(join(folder, "vocab.txt"));
    return text === undefined ? undefined : fromVocabTxt(text, config);
  }
  if (says(/t5/i)) {
    try {
      return await fromSentencePiece(join(folder, "spiece.model"), config);
    } catch (error) {
      throw new Error(`spiece.model: ${(error as Error).message}`, { cause: error });
    }
  }
  if (!says(/roberta|clip/i)) return undefined;
  const vocab = await readJson(join(folder, "vocab.json"));
  const merges = await readText(join(folder, "merges.txt"));
  if (vocab === undefined || merges === undefined) return undefined;
  return says(/clip/i) ? fromClip(vocab, merges, config) : fromMerges(vocab, merges, config);
}
