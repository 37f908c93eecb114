import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { chatTemplate } from "../chat-template.ts";
import { modelInput } from "./model-input.ts";
import { streamingDecoder } from "./streaming-decoder.ts";
import type { Tokenizer, TokenizerFiles, TokenizerJson } from "./tokenizer.ts";

/** A special token in a `tokenizer_config.json`: its text, or an object that holds it. */
function specialToken(config: Record<string, unknown>, key: string): string | undefined {
  const value = config[key];
  if (typeof value === "string") return value;
  const content = (value as { content?: unknown } | null | undefined)?.content;
  return typeof content === "string" ? content : undefined;
}

/** The chat template in a `tokenizer_config.json`: a string, or a list of named ones of which "default" counts. */
function templateOf(config: Record<string, unknown>): string | undefined {
  const value = config.chat_template;
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return undefined;
  return value.find((entry) => entry?.name === "default")?.template;
}

/** The same tokenizer without its special tokens: text can't spell what it doesn't know. */
function withoutSpecial(tokenizer: TokenizerJson): TokenizerJson {
  const special = new Set(
    tokenizer.added_tokens.filter((token) => token.special).map(({ content }) => content),
  );
  const { vocab } = tokenizer.model;
  const unknown = tokenizer.model.unk_token;
  const keeps = (piece: string) => !special.has(piece) || piece === unknown;
  return {
    ...tokenizer,
    added_tokens: tokenizer.added_tokens.filter((token) => !token.special),
    post_processor: null,
    model: Array.isArray(vocab)
      ? // Ids are places in the list, so a special piece stays in its place, under a name that no text has.
        {
          ...tokenizer.model,
          vocab: vocab.map(([piece, score], id): [string, number] =>
            special.has(piece) ? [`\uffff${id}\uffff`, score] : [piece, score],
          ),
        }
      : {
          ...tokenizer.model,
          vocab: Object.fromEntries(Object.entries(vocab).filter(([piece]) => keeps(piece))),
        },
  };
}

/** The library's Digits knows ASCII's ten only; the original splits at every numeric character. */
function withAllDigits(preTokenizer: unknown): unknown {
  const { type, ...rest } = (preTokenizer ?? {}) as { type?: string; [key: string]: unknown };
  if (type === "Sequence" && Array.isArray(rest.pretokenizers))
    return { type, ...rest, pretokenizers: rest.pretokenizers.map(withAllDigits) };
  if (type !== "Digits") return preTokenizer;
  const pattern = { Regex: rest.individual_digits ? "\\p{N}" : "\\p{N}+" };
  return { type: "Split", pattern, behavior: "Isolated", invert: false };
}

function checkShape(json: unknown): asserts json is TokenizerJson {
  const { model, added_tokens: added } = (json ?? {}) as TokenizerJson;
  if (!model || typeof model !== "object" || !model.vocab || !Array.isArray(added ?? []))
    throw new Error("tokenizer.json: it has no model with a vocabulary");
}

/**
 * The tokenizer that a `tokenizer.json` and a `tokenizer_config.json` describe.
 *
 * Decoding is exact: `clean_up_tokenization_spaces`, which rewrites the text, is left out.
 * @throws Error where the files describe nothing that is known.
 */
export function huggingFaceTokenizer(files: {
  tokenizer: unknown;
  config?: Record<string, unknown>;
}): Tokenizer {
  checkShape(files.tokenizer);
  const config = files.config ?? {};
  const json: TokenizerJson = {
    ...files.tokenizer,
    added_tokens: files.tokenizer.added_tokens ?? [],
    normalizer: files.tokenizer.normalizer ?? null,
    pre_tokenizer: files.tokenizer.pre_tokenizer ?? null,
    post_processor: files.tokenizer.post_processor ?? null,
    decoder: files.tokenizer.decoder ?? null,
  };
  const exact = { ...json, pre_tokenizer: withAllDigits(json.pre_tokenizer) };
  const whole = new HuggingFaceTokenizer(exact, config);
  const plain = new HuggingFaceTokenizer(withoutSpecial(exact), config);
  const template = templateOf(config);
  const special = (key: string) => specialToken(config, key);
  const idOf = (key: string): number | undefined => {
    const token = special(key);
    return token === undefined ? undefined : whole.token_to_id(token);
  };
  const vocabularySize =
    Math.max(-1, ...json.added_tokens.map(({ id }) => id), largestId(json.model.vocab)) + 1;
  const specialIds = new Set(json.added_tokens.filter((token) => token.special).map(({ id }) => id));

  const hasTemplate = json.post_processor !== null;
  const encodePlain = (text: string): number[] =>
    text === "" ? [] : plain.encode(text, { add_special_tokens: false }).ids;
  const decode = (ids: ArrayLike<number>, { skipSpecial = false } = {}): string => {
    const known = Array.from(ids).filter(
      (id) => whole.id_to_token(id) !== undefined && !(skipSpecial && specialIds.has(id)),
    );
    return known.length === 0 ? "" : whole.decode(known, { clean_up_tokenization_spaces: false });
  };
  const apply =
    template === undefined
      ? undefined
      : chatTemplate(template, {
          bos_token: special("bos_token"),
          eos_token: special("eos_token"),
          pad_token: special("pad_token"),
          unk_token: special("unk_token"),
        });

  return {
    vocabularySize,
    bosId: idOf("bos_token"),
    eosId: idOf("eos_token"),
    padId: idOf("pad_token"),
    unkId: idOf("unk_token"),
    encode(text, { addSpecial = false, parseSpecial = false } = {}) {
      if (parseSpecial) return whole.encode(text, { add_special_tokens: addSpecial }).ids;
      const ids = encodePlain(text);
      return addSpecial ? modelInput(whole, hasTemplate, ids, undefined).ids : ids;
    },
    encodeInput(text, pair, { maxLength } = {}) {
      const second = pair === undefined ? undefined : encodePlain(pair);
      return modelInput(whole, hasTemplate, encodePlain(text), second, maxLength);
    },
    decode,
    decoder: ({ skipSpecial = true } = {}) => streamingDecoder((ids) => decode(ids, { skipSpecial })),
    ...(template !== undefined && { chatTemplate: template }),
    applyChatTemplate(messages, options) {
      if (!apply)
        throw new Error(
          "this model has no chat template: it was not trained on conversations, or its files lack one " +
            "(chat_template in tokenizer_config.json, or chat_template.jinja)",
        );
      return apply(messages, options);
    },
    fingerprint: bytesToHex(sha256(utf8ToBytes(JSON.stringify([json, template ?? null])))),
    files: { tokenizer: json, config } satisfies TokenizerFiles,
  };
}

function largestId(vocab: TokenizerJson["model"]["vocab"]): number {
  if (Array.isArray(vocab)) return vocab.length - 1;
  let largest = -1;
  for (const piece in vocab) largest = Math.max(largest, vocab[piece]!);
  return largest;
}
