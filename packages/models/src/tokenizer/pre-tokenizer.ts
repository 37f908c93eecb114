/** GPT-2's splitting of text into words. */
const gpt2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
const afterGpt2 = (digits: string) =>
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const llama3 = afterGpt2(String.raw`\p{N}{1,3}`);
const qwen2 = afterGpt2(String.raw`\p{N}`);
const tekken = String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

type Kind = "gpt-2" | "smollm" | "llama-bpe" | "qwen2" | "tekken";

/** The names that `tokenizer.ggml.pre` may have, by the splitting they stand for; the first is the one written. */
const names: Record<Kind, string[]> = {
  "gpt-2": ["gpt-2", "default", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling"],
  smollm: ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"],
  "llama-bpe": ["llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"],
  qwen2: ["qwen2", "deepseek-r1-qwen", "stablelm2", "megrez"],
  tekken: ["tekken"],
};

const split = (regex: string) => ({
  type: "Split",
  pattern: { Regex: regex },
  behavior: "Isolated",
  invert: false,
});
const byteLevel = (regex: boolean) => ({
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: regex,
});
const sequence = (...pretokenizers: unknown[]) => ({ type: "Sequence", pretokenizers });

const preTokenizers: Record<Kind, unknown> = {
  "gpt-2": byteLevel(true),
  smollm: sequence({ type: "Digits", individual_digits: true }, byteLevel(true)),
  "llama-bpe": sequence(split(llama3), byteLevel(false)),
  qwen2: sequence(split(qwen2), byteLevel(false)),
  tekken: sequence(split(tekken), byteLevel(false)),
};

/**
 * The pre-tokenizer of `tokenizer.json` that a GGUF file's `tokenizer.ggml.pre` names, and whether words that are in the vocabulary skip
 * merging.
 *
 * @throws Error naming those that are known.
 */
export function preTokenizerNamed(name: string): { preTokenizer: unknown; ignoreMerges: boolean } {
  const kind = (Object.keys(names) as Kind[]).find((key) => names[key].includes(name));
  if (!kind)
    throw new Error(
      `the GGUF file splits words by the rule "${name}" (tokenizer.ggml.pre), which is not one of ` +
        `${Object.values(names).flat().join(", ")}; load the model's Hugging Face folder instead`,
    );
  return { preTokenizer: preTokenizers[kind], ignoreMerges: kind === "llama-bpe" || kind === "tekken" };
}

/** The regular expressions that a pre-tokenizer applies in turn, or undefined where it does something else too. */
function regexes(preTokenizer: unknown): string[] | undefined {
  const { type, ...rest } = (preTokenizer ?? {}) as { type?: string; [key: string]: unknown };
  if (type === "Sequence") {
    const parts = ((rest.pretokenizers as unknown[]) ?? []).map(regexes);
    return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
  }
  if (type === "Digits") return rest.individual_digits ? ["digits"] : undefined;
  if (type === "ByteLevel")
    return rest.add_prefix_space ? undefined : rest.use_regex === false ? [] : ["gpt-2"];
  const regex = (rest.pattern as { Regex?: string } | undefined)?.Regex;
  if (type !== "Split" || regex === undefined || rest.behavior !== "Isolated") return undefined;
  return [regex === String.raw`\p{N}` ? "digits" : regex === gpt2 ? "gpt-2" : regex];
}

/** The name for `tokenizer.ggml.pre` of a `tokenizer.json`'s pre-tokenizer, if it has one. */
export function preTokenizerName(preTokenizer: unknown): string | undefined {
  const wanted = JSON.stringify(regexes(preTokenizer));
  return (Object.keys(preTokenizers) as Kind[]).find(
    (kind) => JSON.stringify(regexes(preTokenizers[kind])) === wanted,
  );
}
