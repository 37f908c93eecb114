export const wordTokens = { unknown: "<unk>", begin: "<s>", end: "</s>" } as const;

/**
 * A `tokenizer.json` whose tokens are whole words, as Hugging Face's libraries read it.
 *
 * WordPiece without any continuation piece is a word-level tokenizer: a word is in the vocabulary or unknown.
 */
export function wordTokenizerJson(vocabulary: readonly string[]): object {
  const special = [wordTokens.unknown, wordTokens.begin, wordTokens.end];
  const vocab = Object.fromEntries([...special, ...vocabulary].map((word, id) => [word, id]));
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: { type: "Lowercase" },
    pre_tokenizer: { type: "WhitespaceSplit" },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: wordTokens.begin, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
      special_tokens: { [wordTokens.begin]: { id: wordTokens.begin, ids: [1], tokens: [wordTokens.begin] } },
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: false },
    model: {
      type: "WordPiece",
      unk_token: wordTokens.unknown,
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

/** The `tokenizer_config.json` beside it. */
export const wordTokenizerConfig = {
  tokenizer_class: "PreTrainedTokenizerFast",
  unk_token: wordTokens.unknown,
  bos_token: wordTokens.begin,
  eos_token: wordTokens.end,
  clean_up_tokenization_spaces: false,
};
