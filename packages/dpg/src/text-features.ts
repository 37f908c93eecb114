import { batchedFeature, type Feature, type FeatureOptions, feature } from "./feature.ts";

/** A text, or an outcome that has one. */
export type HasText = string | { text: string };

/** The text of an outcome. Throws TypeError where there is none. */
export const textOf = (outcome: HasText): string => {
  const text = typeof outcome === "string" ? outcome : outcome?.text;
  if (typeof text !== "string") throw new TypeError("the outcome is no text and has no field text.");
  return text;
};

/** Of text alone, whatever else the outcome holds: what it is remembered by. */
const byText: FeatureOptions["key"] = (outcome) => textOf(outcome as HasText);

const plain = (text: string): string => text.normalize("NFC").toLowerCase();

/** Words as runs of letters, marks and digits, apostrophes inside them included; lower case. */
export function wordsOf(text: string): string[] {
  return plain(text).match(/[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}\p{N}]+)*/gu) ?? [];
}

/** Whether a word is in the text as a whole word, in any case: φ of the papers' lexical constraints. */
export function containsWord(word: string, options: { name?: string } = {}): Feature<HasText> {
  const wanted = wordsOf(word);
  if (wanted.length === 0) throw new RangeError(`containsWord: "${word}" has no letter or digit.`);
  const inside = (outcome: HasText): boolean => {
    const words = wordsOf(textOf(outcome));
    return words.some((_, at) => wanted.every((part, k) => words[at + k] === part));
  };
  return feature(inside, { name: options.name ?? `contains "${word}"`, key: byText });
}

/**
 * How a text uses a lexicon, by the weights of its words: their sum, their mean over all words of the text, or whether there is any.
 *
 * @param entries words, each of weight 1, or weights by word
 */
export function lexicon(
  entries: Iterable<string> | Readonly<Record<string, number>>,
  options: { measure?: "sum" | "mean" | "any"; name?: string } = {},
): Feature<HasText> {
  const { measure = "sum", name = "lexicon" } = options;
  if (!["sum", "mean", "any"].includes(measure))
    throw new RangeError(`lexicon: there is no measure "${measure}"; there are sum, mean and any.`);
  const pairs: [string, number][] =
    Symbol.iterator in Object(entries)
      ? Array.from(entries as Iterable<string>, (word) => [plain(word), 1])
      : Object.entries(entries as Record<string, number>).map(([word, weight]) => [plain(word), weight]);
  const weights = new Map(pairs);
  for (const [word, weight] of weights)
    if (!Number.isFinite(weight)) throw new RangeError(`lexicon: "${word}" has the weight ${weight}.`);
  if (weights.size === 0) throw new RangeError("lexicon: there is no word in it.");
  return feature(
    (outcome: HasText) => {
      const words = wordsOf(textOf(outcome));
      if (measure === "any") return words.some((word) => weights.has(word));
      const sum = words.reduce((total, word) => total + (weights.get(word) ?? 0), 0);
      return measure === "sum" ? sum : sum / Math.max(1, words.length);
    },
    { name, key: byText },
  );
}

/** How long a text is, in characters (code points) or words; or an outcome's tokens, where it holds them as `ids`. */
export function length(unit: "characters" | "words" | "tokens" = "characters"): Feature<HasText> {
  const count = (outcome: HasText): number => {
    if (unit === "words") return wordsOf(textOf(outcome)).length;
    if (unit === "characters") return Array.from(textOf(outcome)).length;
    const ids = (outcome as { ids?: ArrayLike<number> }).ids;
    if (ids?.length === undefined)
      throw new TypeError("the outcome has no field ids to count the tokens of.");
    return ids.length;
  };
  if (!["characters", "words", "tokens"].includes(unit))
    throw new RangeError(`length: there is no unit "${unit}"; there are characters, words and tokens.`);
  return feature(count, { name: `length in ${unit}`, ...(unit !== "tokens" && { key: byText }) });
}

/** Whether the whole text is one JSON value; of the kinds named, if any are. */
export function validJson(
  options: { kinds?: readonly ("object" | "array" | "string" | "number" | "boolean" | "null")[] } = {},
): Feature<HasText> {
  const { kinds } = options;
  const kindOf = (value: unknown) =>
    value === null ? "null" : Array.isArray(value) ? "array" : (typeof value as "object");
  return feature(
    (outcome: HasText) => {
      try {
        const value: unknown = JSON.parse(textOf(outcome));
        return kinds === undefined || kinds.includes(kindOf(value));
      } catch (error) {
        if (error instanceof SyntaxError) return false;
        throw error;
      }
    },
    { name: "valid JSON", key: byText },
  );
}

/** Whether (), [] and {} are balanced and properly nested. */
export function balancedBrackets(): Feature<HasText> {
  const closes: Record<string, string> = { ")": "(", "]": "[", "}": "{" };
  return feature(
    (outcome: HasText) => {
      const open: string[] = [];
      for (const character of textOf(outcome)) {
        if ("([{".includes(character)) open.push(character);
        else if (character in closes && open.pop() !== closes[character]) return false;
      }
      return open.length === 0;
    },
    { name: "balanced brackets", key: byText },
  );
}

/**
 * What a classifier says of a text: the probability of a label, or its logarithm.
 *
 * @param classify probabilities of a batch of texts, one row a text, one number a label
 * @param options.label index of the label; default 1, the positive one of two
 */
export function classifier(
  classify: (texts: readonly string[]) => Promise<ArrayLike<number>[]> | ArrayLike<number>[],
  options: { label?: number; log?: boolean; batchSize?: number; name?: string } = {},
): Feature<HasText> {
  const { label = 1, log = false, name = "classifier" } = options;
  return batchedFeature(
    async (outcomes: readonly HasText[]) => {
      const rows = await classify(outcomes.map(textOf));
      return Array.from(rows, (row) => {
        const probability = row[label];
        if (probability === undefined || !(probability >= 0 && probability <= 1 + 1e-6))
          throw new RangeError(`label ${label} of ${row.length} has the probability ${probability}.`);
        return log ? Math.log(Math.max(probability, 1e-30)) : probability;
      });
    },
    { name, batchSize: options.batchSize ?? 64, key: byText },
  );
}
