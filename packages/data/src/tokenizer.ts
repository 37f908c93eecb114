import type { Message } from "./row.ts";

/** What tokenisation asks of a tokenizer; `@fdiv/models` has them. */
export interface Tokenizer {
  bosId?: number;
  eosId?: number;
  unkId?: number;
  encode(text: string, options?: { addSpecial?: boolean; parseSpecial?: boolean }): number[];
  decode(ids: ArrayLike<number>, options?: { skipSpecial?: boolean }): string;
  chatTemplate?: string;
  applyChatTemplate?(messages: Message[], options?: { addGenerationPrompt?: boolean }): string;
}
