import { byteLevelBpeFiles } from "../tokenizer/byte-level-bpe.ts";
import { pieceType, sentencePieceFiles } from "../tokenizer/sentence-piece.ts";
import type { TokenizerFiles } from "../tokenizer/tokenizer.ts";
import type { MetadataReader } from "./metadata.ts";

/**
 * The tokenizer inside a GGUF file, as the Hugging Face files that give the same ids; undefined where there is none.
 *
 * @throws Error where it is of a kind that can't be read.
 */
export function ggufTokenizerFiles(get: MetadataReader): TokenizerFiles | undefined {
  const key = (name: string) => `tokenizer.ggml.${name}`;
  if (!get.has(key("model")) || get.text(key("model")) === "no_vocab") return undefined;
  const model = get.text(key("model"));
  if (model !== "llama" && model !== "gpt2")
    throw new Error(`the GGUF file's tokenizer is of the kind "${model}", not one of llama, gpt2`);
  const pieces = get.texts(key("tokens"));
  const id = (name: string) => get.optionalNumber(key(`${name}_token_id`));
  const shared = {
    pieces,
    types: get.has(key("token_type"))
      ? get.numbers(key("token_type"), pieces.length)
      : pieces.map(() => pieceType.normal),
    bosId: id("bos"),
    eosId: id("eos"),
    padId: id("padding"),
    unkId: id("unknown"),
    addBos: get.flag(key("add_bos_token"), model === "llama"),
    addEos: get.flag(key("add_eos_token"), false),
    ...(get.has("tokenizer.chat_template") && { chatTemplate: get.text("tokenizer.chat_template") }),
  };
  if (model === "gpt2")
    return byteLevelBpeFiles({
      ...shared,
      merges: get.texts(key("merges")),
      preTokenizer: get.text(key("pre"), "default"),
    });
  const unknown = pieces.findIndex((_, index) => shared.types[index] === pieceType.unknown);
  return sentencePieceFiles({
    ...shared,
    unkId: shared.unkId ?? (unknown < 0 ? undefined : unknown),
    scores: get.numbers(key("scores"), pieces.length),
    spacePrefix: get.flag(key("add_space_prefix"), true),
  });
}
