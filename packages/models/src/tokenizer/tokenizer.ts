import type { ModelInput } from "./model-input.ts";

export interface ChatMessage {
  role: string;
  content: string;
}

/** Text from ids, as they come: what `push` returns is final, and `flush` gives what was held back. */
export interface StreamingDecoder {
  push(id: number): string;
  flush(): string;
}

/** Text to token ids and back. */
export interface Tokenizer {
  vocabularySize: number;
  bosId?: number;
  eosId?: number;
  padId?: number;
  unkId?: number;
  /** The name of a special token in text is text like any other unless `parseSpecial`; no BOS or EOS unless `addSpecial`. */
  encode(text: string, options?: { addSpecial?: boolean; parseSpecial?: boolean }): number[];
  /**
   * A text or a pair as the model's template lays it out, special tokens included, cut to `maxLength` ids: the longer of a pair first.
   * Special tokens' names are text.
   */
  encodeInput?(text: string, pair?: string, options?: { maxLength?: number }): ModelInput;
  decode(ids: ArrayLike<number>, options?: { skipSpecial?: boolean }): string;
  /** Decodes as tokens arrive; characters split across tokens are held until whole. Skips special tokens by default. */
  decoder(options?: { skipSpecial?: boolean }): StreamingDecoder;
  chatTemplate?: string;
  applyChatTemplate?(messages: ChatMessage[], options?: { addGenerationPrompt?: boolean }): string;
  /** Hash of everything that decides ids: equal tokenizers have equal fingerprints. */
  fingerprint: string;
  /** The Hugging Face files this tokenizer is made of, for saving. */
  files?: TokenizerFiles;
}

/** The contents of `tokenizer.json` and `tokenizer_config.json`. */
export interface TokenizerFiles {
  tokenizer: TokenizerJson;
  config: Record<string, unknown>;
}

export interface AddedToken {
  id: number;
  content: string;
  special?: boolean;
  normalized?: boolean;
  single_word?: boolean;
  lstrip?: boolean;
  rstrip?: boolean;
}

/** What is used here of a `tokenizer.json`. */
export interface TokenizerJson {
  version?: string;
  added_tokens: AddedToken[];
  normalizer: unknown;
  pre_tokenizer: unknown;
  post_processor: unknown;
  decoder: unknown;
  model: { type?: string; vocab: Record<string, number> | [string, number][]; [key: string]: unknown };
  [key: string]: unknown;
}
