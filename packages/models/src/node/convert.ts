import { basename, dirname, extname, join, resolve } from "node:path";
import { encodeGguf } from "../gguf/write.ts";
import { encodeLlama2c } from "../llama2c.ts";
import { encodeLlama2cTokenizer } from "../llama2c-tokenizer.ts";
import { checkParameters } from "../parameter-check.ts";
import { isSentencePiece, sentencePiecesOf } from "../tokenizer/sentence-piece-of.ts";
import { writeAtomically } from "./atomic-file.ts";
import { writeHuggingFaceFolder } from "./hugging-face-folder.ts";
import type { FolderOptions } from "./model-folder.ts";
import { type OpenOptions, openCheckpoint } from "./open-checkpoint.ts";

export type ConvertOptions = OpenOptions & FolderOptions;

/**
 * Converts between Hugging Face folders, GGUF (`.gguf`, F32 or F16) and llama2.c (`.bin`, F32, with `tokenizer.bin` beside it);
 * the target's ending says which.
 *
 * @throws Error where the target's format can't hold the model.
 */
export async function convertCheckpoint(
  from: string,
  to: string,
  options: ConvertOptions = {},
): Promise<void> {
  const { dtype = "F32" } = options;
  if (!from.startsWith("hf:") && resolve(from) === resolve(to))
    throw new Error(`${to}: source and target are the same`);
  const kind = extname(to);
  if (kind === ".gguf" && dtype === "BF16") throw new Error(`${to}: GGUF is written as F32 or F16, not BF16`);
  if (kind === ".bin" && dtype !== "F32")
    throw new Error(`${to}: llama2.c's format is F32 only, not ${dtype}`);
  const checkpoint = await openCheckpoint(from, options);
  try {
    checkParameters(checkpoint.config, checkpoint.tensors);
    if (kind === ".gguf") {
      const gguf = { dtype: dtype === "F16" ? ("F16" as const) : ("F32" as const), name: basename(to, kind) };
      await writeAtomically(to, encodeGguf(checkpoint, gguf));
    } else if (kind === ".bin") {
      const files = checkpoint.tokenizer?.files;
      if (files && !isSentencePiece(files))
        throw new Error(`${to}: llama2.c knows SentencePiece tokenizers only, and the model has another`);
      const tokenizer = files && encodeLlama2cTokenizer(sentencePiecesOf(files));
      await writeAtomically(to, encodeLlama2c(checkpoint));
      if (tokenizer) await writeAtomically(join(dirname(to), "tokenizer.bin"), [tokenizer]);
    } else {
      await writeHuggingFaceFolder(checkpoint, to, options);
    }
  } finally {
    await checkpoint.close?.();
  }
}
