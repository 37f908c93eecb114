import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createEncoder, disposeModel, huggingFaceTokenizer } from "@fdiv/models";
import { saveEncoder } from "@fdiv/models/node";
import { wordTokenizerConfig, wordTokenizerJson } from "../demo/word-tokenizer.ts";

export const words = ["the", "a", "cat", "dog", "is", "was", "good", "bad", "happy", "sad", "because", "so"];

/** Writes a bare BERT that says anything. */
export async function saveTinyEncoder(
  path: string,
  layers: number,
  seed: number,
  vocabulary = words,
): Promise<void> {
  const tokenizer = huggingFaceTokenizer({
    tokenizer: wordTokenizerJson(vocabulary) as never,
    config: wordTokenizerConfig,
  });
  const encoder = createEncoder(
    {
      modelType: "bert",
      vocabularySize: tokenizer.vocabularySize,
      hiddenSize: 16,
      intermediateSize: 32,
      layers,
      heads: 2,
      positions: 24,
      initializerRange: 0.3,
    },
    { seed, tokenizer },
  );
  await saveEncoder(encoder, path);
  disposeModel(encoder);
}

const tones = ["good", "bad", "happy", "sad"];
const bit = (n: number, place: number): number => (n >> place) & 1;
const sentence = (n: number): string =>
  `${["the", "a"][bit(n, 2)]} ${["cat", "dog"][bit(n, 3)]} ${["is", "was"][bit(n, 4)]} ${tones[n % 4]} ${["", "the cat", "a dog", "the dog"][(n >> 5) % 4]}`.trim();

/** Files of three kinds of tasks: what tone a sentence has, a score by tone and article, which of two has the premise's tone. */
export async function writeTasks(folder: string): Promise<void> {
  const numbers = (count: number, shift: number) => Array.from({ length: count }, (_, i) => i * 5 + shift);
  const write = async (task: string, file: string, rows: string[]) => {
    await mkdir(join(folder, task), { recursive: true });
    await writeFile(join(folder, task, file), `${rows.join("\n")}\n`);
  };
  for (const [split, count, shift] of [
    ["train", 160, 0],
    ["dev", 48, 2],
  ] as const) {
    const ns = numbers(count, shift);
    await write("sst2", `${split}.tsv`, [
      "sentence\tlabel",
      ...ns.map((n) => `${sentence(n)}\t${1 - (n % 2)}`),
    ]);
    await write("stsb", `${split}.tsv`, [
      "index\tsentence1\tsentence2\tscore",
      ...ns.map((n, i) => {
        return `${i}\t${sentence(n)}\t${sentence(n + 12)}\t${n % 2 === 0 ? 3 + bit(n, 2) : 1 - bit(n, 2)}`;
      }),
    ]);
    await write(
      "copa",
      `${split === "dev" ? "val" : split}.jsonl`,
      ns.map((n, i) => {
        const right = sentence(2 * n + (n % 2));
        const wrong = sentence(2 * n + 1 - (n % 2));
        const label = Math.floor(n / 2) % 2;
        const [choice1, choice2] = label === 0 ? [right, wrong] : [wrong, right];
        return JSON.stringify({ premise: sentence(n), choice1, choice2, question: "cause", label, idx: i });
      }),
    );
  }
}
