import { join } from "node:path";
import { huggingFaceTokenizer } from "../tokenizer/hugging-face-tokenizer.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { writeAtomically, writeJson } from "./atomic-file.ts";
import { readJson, readText } from "./json-file.ts";
import { vocabularyFiles } from "./vocabulary-files.ts";

/** The tokenizer of a Hugging Face folder, if it has one. */
export async function openTokenizer(folder: string): Promise<Tokenizer | undefined> {
  const config = (await readJson(join(folder, "tokenizer_config.json"))) ?? {};
  const tokenizer = await readJson(join(folder, "tokenizer.json"));
  if (!tokenizer) return openVocabulary(folder, config);
  const template = await readText(join(folder, "chat_template.jinja"));
  try {
    return huggingFaceTokenizer({
      tokenizer,
      config: { ...config, ...(template !== undefined && { chat_template: template }) },
    });
  } catch (error) {
    throw new Error(`${join(folder, "tokenizer.json")}: ${(error as Error).message}`, { cause: error });
  }
}

async function openVocabulary(
  folder: string,
  config: Record<string, unknown>,
): Promise<Tokenizer | undefined> {
  try {
    const files = await vocabularyFiles(folder, config);
    return files && huggingFaceTokenizer(files);
  } catch (error) {
    throw new Error(`${folder}: ${(error as Error).message}`, { cause: error });
  }
}

/** Writes `tokenizer.json`, `tokenizer_config.json` and, where there is one, `chat_template.jinja`. */
export async function writeTokenizer(
  folder: string,
  { files }: Tokenizer,
  maxPositions: number,
): Promise<void> {
  if (!files) return;
  const { chat_template: template, ...config } = files.config;
  await writeJson(join(folder, "tokenizer.json"), files.tokenizer);
  await writeJson(join(folder, "tokenizer_config.json"), {
    model_max_length: maxPositions,
    ...config,
    // Older readers know no other place.
    ...(template !== undefined && { chat_template: template }),
  });
  if (typeof template === "string") await writeAtomically(join(folder, "chat_template.jinja"), [template]);
}
