import type { Tokenizer } from "./tokenizer/tokenizer.ts";

export interface StopOptions {
  /** Token ids, and strings that end a sequence as soon as its text holds them; strings need the model's tokenizer. */
  stop?: (number | string)[];
  /** Goes on beyond the model's own end-of-sequence tokens; false by default. */
  ignoreEos?: boolean;
}

/** What stopping needs of a model. */
export interface Stoppable {
  config: { eosIds: number[]; vocabularySize: number };
  tokenizer?: Tokenizer;
}

/** The model's end-of-sequence tokens, and the tokenizer's where its config names none. */
export function endIds(model: Stoppable): number[] {
  const { eosIds } = model.config;
  if (eosIds.length > 0) return eosIds;
  const eos = model.tokenizer?.eosId;
  return eos === undefined ? [] : [eos];
}

/**
 * What ends a sequence: the ids, and for each prompt a function that is told every new token and says whether to stop.
 *
 * @throws when a stop string is given and the model has no tokenizer, or a stop is empty.
 */
export function stopDetector(
  model: Stoppable,
  { stop = [], ignoreEos = false }: StopOptions,
): { stopIds: number[]; detector(prompt: ArrayLike<number>): (id: number) => boolean } {
  const size = model.config.vocabularySize;
  const given = stop.filter((item) => typeof item === "number");
  const strings = stop.filter((item) => typeof item === "string");
  const stopIds = [...new Set([...(ignoreEos ? [] : endIds(model)), ...given])].filter((id) => id < size);
  const ids = new Set(stopIds);
  const { tokenizer } = model;
  if (strings.includes("")) throw new Error("a stop string must not be empty.");
  if (strings.length > 0 && !tokenizer)
    throw new Error("stop strings need the model's tokenizer; give token ids instead.");
  if (strings.length === 0 || !tokenizer) return { stopIds, detector: () => (id) => ids.has(id) };
  const longest = Math.max(...strings.map(({ length }) => length));
  const detector = (prompt: ArrayLike<number>) => {
    const decoder = tokenizer.decoder();
    // The decoder is told the prompt's end, so that a first token's leading space is decoded as one.
    for (let t = Math.max(0, prompt.length - 8); t < prompt.length; t++) decoder.push(prompt[t]!);
    let tail = "";
    return (id: number): boolean => {
      if (ids.has(id)) return true;
      const fresh = decoder.push(id);
      const text = tail + fresh;
      tail = text.slice(Math.max(0, text.length - longest + 1));
      return strings.some((string) => text.includes(string));
    };
  };
  return { stopIds, detector };
}
