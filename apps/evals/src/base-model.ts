import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  checkConfig,
  closedCorpus,
  fineTuneRun,
  type Session,
  sftSchema,
  wordNetSentences,
  wordTokenizerConfig,
  wordTokenizerJson,
} from "@fdiv/cli";
import { createCausalLm, disposeModel, huggingFaceTokenizer } from "@fdiv/models";
import { saveCausalLm } from "@fdiv/models/node";
import { random } from "@fdiv/tensor-core";

/** Sizes that base models are trained in: hidden size × layers. */
export const sizes = {
  "32x1": { hiddenSize: 32, intermediateSize: 96, layers: 1, heads: 2 },
  "64x2": { hiddenSize: 64, intermediateSize: 192, layers: 2, heads: 4 },
  "128x3": { hiddenSize: 128, intermediateSize: 384, layers: 3, heads: 4 },
  "192x4": { hiddenSize: 192, intermediateSize: 576, layers: 4, heads: 6 },
} as const;
export type Size = keyof typeof sizes;

/** A size by its name. Throws on one that there is not. */
export function sizeOf(name: string): Size {
  if (Object.hasOwn(sizes, name)) return name as Size;
  throw new Error(`there is no size "${name}"; there are ${Object.keys(sizes).join(", ")}.`);
}

/** Texts to train a base model on, and the words they are made of. */
export interface Texts {
  texts: readonly string[];
  vocabulary: readonly string[];
}

/** The demo's corpus: WordNet's example sentences that the 2,048 most frequent words write. */
export async function wordNetTexts(): Promise<Texts> {
  const { texts, vocabulary } = closedCorpus(await wordNetSentences(), {
    words: 2048,
    shortest: 3,
    longest: 12,
  });
  return { texts: texts.map((words) => words.join(" ")), vocabulary };
}

/**
 * Trains a base model of a size on texts, in `folder`; one that is there already is taken.
 *
 * @returns where the model is
 */
export async function baseModel(
  folder: string,
  size: Size,
  { texts, vocabulary }: Texts,
  session: Session,
  { seed = 1, epochs = 4, learningRate = 3e-3 } = {},
): Promise<string> {
  const run = join(folder, `base-${size}`);
  const trained = join(run, "model");
  if (existsSync(join(trained, "config.json"))) return trained;
  process.stderr.write(`training a base model of ${size} on ${texts.length} texts\n`);
  await mkdir(folder, { recursive: true });
  const order = random(seed).fork("corpus").permutation(texts.length);
  const file = join(folder, "texts.jsonl");
  await writeFile(file, Array.from(order, (i) => `${JSON.stringify({ text: texts[i] })}\n`).join(""));
  const tokenizer = huggingFaceTokenizer({
    tokenizer: wordTokenizerJson(vocabulary) as never,
    config: wordTokenizerConfig,
  });
  const start = join(folder, `start-${size}`);
  if (!existsSync(start)) {
    const model = createCausalLm(
      {
        modelType: "llama",
        vocabularySize: tokenizer.vocabularySize,
        ...sizes[size],
        maxPositions: 64,
        tiedHead: true,
        bosId: 1,
        eosIds: [2],
      },
      { seed, tokenizer },
    );
    await saveCausalLm(model, start, { dtype: "F32" });
    disposeModel(model);
  }
  const config = checkConfig(
    sftSchema,
    {
      model: start,
      data: { train: file, eval: 0.05, maxLength: 48 },
      learningRate,
      schedule: "cosine",
      warmup: 0.05,
      weightDecay: 0.1,
      batchSize: 64,
      epochs,
      restoreBest: true,
      output: run,
      checkpointEvery: 200,
      seed,
    },
    "base model",
  );
  await fineTuneRun(config, session, { resume: existsSync(join(run, "metrics.jsonl")) });
  return trained;
}
