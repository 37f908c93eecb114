import type { Message } from "./row.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** A tokenizer for tests: a word with the space before it is a token; 0 is unknown, 1 begins and 2 ends a text. */
export function wordsTokenizer({ bos = true, chat = false } = {}): Tokenizer {
  const pieces = ["<unk>", "<s>", "</s>"];
  const ids = new Map(pieces.map((piece, id) => [piece, id]));
  const idOf = (piece: string): number => {
    if (!ids.has(piece)) {
      ids.set(piece, pieces.length);
      pieces.push(piece);
    }
    return ids.get(piece)!;
  };
  return {
    ...(bos && { bosId: 1 }),
    eosId: 2,
    unkId: 0,
    encode(text, { addSpecial = false, parseSpecial = false } = {}) {
      const pattern = parseSpecial ? /<\/?s>|\s*[^\s<]+|\s*<|\s+/g : /\s*\S+|\s+/g;
      const body = (text.match(pattern) ?? []).map((piece) =>
        !parseSpecial && /^<\/?s>$/.test(piece) ? idOf(`\\${piece}`) : idOf(piece),
      );
      return addSpecial && bos ? [1, ...body] : body;
    },
    decode: (list) => Array.from(list, (id) => pieces[id] ?? "").join(""),
    ...(chat && {
      chatTemplate: "test",
      applyChatTemplate: (messages: Message[], options: { addGenerationPrompt?: boolean } = {}) =>
        messages.map(({ role, content }) => `<s>${role}: ${content}</s>\n`).join("") +
        (options.addGenerationPrompt ? "<s>assistant:" : ""),
    }),
  };
}
