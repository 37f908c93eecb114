import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { rewardSamples, type Session, samplePolicy, sentiment } from "@fdiv/cli";
import { synthesisePreferences } from "@fdiv/data";
import { disposeModel } from "@fdiv/models";
import { loadCausalLm } from "@fdiv/models/node";
import { random } from "@fdiv/tensor-core";
import { baseModel, type Size, wordNetTexts } from "../base-model.ts";

export interface Pair {
  prompt: string;
  chosen: string;
  rejected: string;
}

/** What both methods learn from and are judged on: one base model, one reward, the same prompts. */
export interface Material {
  model: string;
  /** Files of one prompt a line. */
  trainingPrompts: string;
  testPrompts: readonly string[];
  pairs: string;
  /** Pairs of the test prompts, for calibration. */
  testPairs: readonly Pair[];
}

export const maxTokens = 12;

const lines = async (file: string): Promise<string[]> =>
  (await readFile(file, "utf8")).split("\n").filter(Boolean);

/**
 * The setting, made once in `folder`: prompts are the first two words of sentences; preferences are drawn by Bradley–Terry at temperature 1 from
 * the sentiment lexicon, so that f-DPO's β and PPO's coefficient mean the same.
 */
export async function preferenceMaterial(
  folder: string,
  size: Size,
  session: Session,
  { prompts = 600, seed = 1 } = {},
): Promise<Material> {
  const corpus = await wordNetTexts();
  const model = await baseModel(join(folder, "wordnet"), size, corpus, session);
  const at = (name: string) => join(folder, `methods-${size}-${name}`);
  const files = {
    trainingPrompts: at("prompts.txt"),
    testPrompts: at("test-prompts.txt"),
    pairs: at("pairs.jsonl"),
    testPairs: at("test-pairs.jsonl"),
  };
  if (!existsSync(files.testPairs)) {
    process.stderr.write("drawing preferences from the sentiment lexicon\n");
    const order = random(seed).fork("prompts").permutation(corpus.texts.length);
    const starts = Array.from(order, (i) => corpus.texts[i]!.split(" ").slice(0, 2).join(" "));
    const chosen = [...new Set(starts)].slice(0, prompts);
    const training = chosen.slice(0, Math.floor(0.7 * chosen.length));
    const testing = chosen.slice(training.length);
    await writeFile(files.trainingPrompts, `${training.join("\n")}\n`);
    await writeFile(files.testPrompts, `${testing.join("\n")}\n`);
    const loaded = await loadCausalLm(model, { trainable: false });
    for (const [asked, file] of [
      [training, files.pairs],
      [testing, files.testPairs],
    ] as const) {
      const samples = await samplePolicy(loaded, {
        prompts: asked,
        perPrompt: 6,
        maxTokens,
        temperature: 1,
        seed: `preferences ${seed}`,
        batch: 256,
      });
      await rewardSamples(samples, sentiment);
      const groups = asked.map((prompt, i) => ({
        prompt,
        completions: samples
          .slice(6 * i, 6 * i + 6)
          .filter(({ completion }) => completion.trim() !== "")
          .map(({ completion, reward }) => ({ text: ` ${completion.trim()}`, reward: reward! })),
      }));
      const pairs = synthesisePreferences(groups, { seed, pairsPerPrompt: 5, temperature: 1 });
      await writeFile(file, pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(""));
    }
    disposeModel(loaded);
  }
  return {
    model,
    trainingPrompts: files.trainingPrompts,
    testPrompts: await lines(files.testPrompts),
    pairs: files.pairs,
    testPairs: (await lines(files.testPairs)).map((line) => JSON.parse(line) as Pair),
  };
}
