import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { synthesisePreferences } from "@fdiv/data";
import { type CausalLm, disposeModel } from "@fdiv/models";
import { loadCausalLm } from "@fdiv/models/node";
import { random } from "@fdiv/tensor-core";
import { writeDurably } from "@fdiv/trainer/node";
import { stringify } from "yaml";
import { writeReport } from "../commands/report.ts";
import { ConfigError, checkConfig } from "../config/config-file.ts";
import { dpoSchema } from "../config/schemas.ts";
import { exitCodeOf, Interrupted } from "../failure.ts";
import { sentiment } from "../rewards/sentiment.ts";
import { align } from "../runs/align.ts";
import {
  evaluatePolicy,
  type PolicyEvaluation,
  rewardSamples,
  samplePolicy,
  scoreSamples,
} from "../runs/evaluate-policy.ts";
import { mergeEvaluation } from "../runs/merge-evaluation.ts";
import { type GlobalOptions, openSession, type Session } from "../session.ts";
import { closedCorpus, wordNetSentences } from "./corpus.ts";
import { demoTable } from "./demo-table.ts";
import { trainBase } from "./train-base.ts";

const divergences = ["reverse-kl", "jensen-shannon", "alpha:0.5", "forward-kl"];
const beta = 0.1;
const legend =
  "Texts of held-out prompts. reward: sum of AFINN valences, what the preferences were drawn from; KL in nats a text, entropy in nats a token;\n" +
  "higher distinct-2 and lower self-BLEU are more diverse; accuracy and ECE of the implicit reward on held-out pairs. ± is half of a 95 % interval.";

/**
 * `fdiv demo`: trains a small language model on WordNet's example sentences, draws preferences from an exactly known reward, aligns it
 * under four divergences, and reports. Each step is an ordinary run, whose configuration is written so that it can be repeated by hand;
 * a demo that was interrupted goes on where it was.
 */
export async function demo(
  options: GlobalOptions & { output: string; seed: number; scale: number },
): Promise<void> {
  const { output, seed, scale } = options;
  const continues = await isUnfinished(output, { seed, scale });
  const session = await openSession(options);
  if (continues) session.say(`continuing the demo in ${output}`);
  const started = performance.now();
  const step = (title: string): void =>
    session.say(`\n${((performance.now() - started) / 1e3).toFixed(0).padStart(4)} s  ${title}`);
  try {
    await mkdir(output, { recursive: true });
    await writeDurably(join(output, "demo.json"), `${JSON.stringify({ seed, scale })}\n`);
    step("reading WordNet's example sentences");
    const corpus = closedCorpus(await wordNetSentences(), { words: 4096, shortest: 3, longest: 14 });
    const order = random(seed).fork("corpus").permutation(corpus.texts.length);
    const texts = Array.from(order, (i) => corpus.texts[i]!.join(" "));
    await writeFile(
      join(output, "texts.jsonl"),
      texts.map((text) => `${JSON.stringify({ text })}\n`).join(""),
    );
    session.say(`${texts.length} sentences of ${corpus.vocabulary.length} words`);

    step("training a language model on them");
    const base = join(output, "base");
    await trainBase(output, base, corpus.vocabulary, options, session);

    step("drawing preferences from a sentiment lexicon");
    const model = await loadCausalLm(join(base, "model"), { trainable: false });
    const prompts = promptsFrom(texts, Math.max(40, Math.round(1800 * scale)));
    const training = prompts.slice(0, Math.floor(0.8 * prompts.length));
    const testing = prompts.slice(training.length);
    await writeFile(join(output, "test-prompts.txt"), `${testing.join("\n")}\n`);
    const pairsFile = join(output, "pairs.jsonl");
    if (!existsSync(pairsFile)) {
      const pairs = await drawPreferences(model, training, seed, session);
      session.say(`${pairs.length} pairs; one: ${JSON.stringify(pairs[0])}`);
      await writeDurably(pairsFile, pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(""));
    }

    const sampling = {
      prompts: testing,
      perPrompt: 4,
      maxTokens: 16,
      temperature: 1,
      signal: session.signal,
    };
    const reference = await samplePolicy(model, { ...sampling, seed: `reference ${seed}` });
    const baseSamples = await samplePolicy(model, { ...sampling, seed });
    await rewardSamples(baseSamples, sentiment);
    const rows: { name: string; evaluation: PolicyEvaluation; accuracy?: number; ece?: number }[] = [
      {
        name: "before",
        evaluation: evaluatePolicy({ policy: baseSamples }, { divergenceName: "reverse-kl", temperature: 1 }),
      },
    ];

    for (const name of divergences) {
      step(`aligning under ${name}`);
      const run = join(output, name.replace(":", "-"));
      const config = checkConfig(
        dpoSchema,
        {
          model: join(base, "model"),
          data: { train: pairsFile, eval: 0.1, maxLength: 48, template: "plain" },
          divergence: name,
          beta,
          learningRate: 1e-4,
          batchSize: 32,
          epochs: 2,
          output: run,
          cache: join(output, "cache"),
          samples: { count: 64, maxTokens: 16, reward: "sentiment" },
          checkpointEvery: 1000,
          seed,
        },
        "demo",
      );
      await writeFile(
        join(output, `${name.replace(":", "-")}.yaml`),
        stringify({ ...config, output: `${run}-again` }),
      );
      const resume = existsSync(join(run, "metrics.jsonl"));
      await align(config, { ...session, say: () => undefined }, { resume });
      const aligned = await loadCausalLm(join(run, "model"), { trainable: false });
      const samples = await samplePolicy(aligned, { ...sampling, seed });
      await rewardSamples(samples, sentiment);
      const evaluation = evaluatePolicy(
        {
          policy: samples,
          policyUnderReference: scoreSamples(model, samples, 4096),
          reference,
          referenceUnderPolicy: scoreSamples(aligned, reference, 4096),
        },
        { divergenceName: name, temperature: 1 },
      );
      disposeModel(aligned);
      const { accuracy, calibration } = await mergeEvaluation(run, evaluation, samples);
      rows.push({ name, evaluation, accuracy: accuracy.reward.value, ece: calibration.bradleyTerry.ece });
      session.say(`  ${samples[0]!.prompt} → ${samples[0]!.completion}`);
    }
    disposeModel(model);

    step("report");
    const page = join(output, "report.html");
    await writeReport(
      divergences.map((name) => join(output, name.replace(":", "-"))),
      { output: page, title: "fdiv demo: one reward, four divergences" },
    );
    process.stdout.write(`\n${demoTable(rows)}\n\n${legend}\n\nreport: ${page}\n`);
    session.say(
      `${((performance.now() - started) / 1e3).toFixed(0)} s in all; each run can be repeated by hand, as in: fdiv dpo ${join(output, "jensen-shannon.yaml")}`,
    );
  } catch (error) {
    if (exitCodeOf(error) !== 130) throw error;
    throw new Interrupted(`Stopped; what was done is in ${output}. The same command goes on from there.`);
  } finally {
    session.close();
  }
}

/** Whether a folder holds a demo of the same settings that was not finished; anything else that is there is left alone. */
async function isUnfinished(output: string, settings: { seed: number; scale: number }): Promise<boolean> {
  if (!existsSync(output)) return false;
  const made = await readFile(join(output, "demo.json"), "utf8").catch(() => "");
  if (made.trim() === JSON.stringify(settings) && !existsSync(join(output, "report.html"))) return true;
  throw new ConfigError(`${output} exists already; remove it, or choose another folder with --output.`);
}

/** The first two words of sentences, each pair once. */
function promptsFrom(texts: readonly string[], count: number): string[] {
  const starts = texts.map((text) => text.split(" ").slice(0, 2).join(" "));
  return [...new Set(starts)].slice(0, count);
}

async function drawPreferences(model: CausalLm, prompts: readonly string[], seed: number, session: Session) {
  const samples = await samplePolicy(model, {
    prompts,
    perPrompt: 6,
    maxTokens: 16,
    temperature: 1,
    seed: `preferences ${seed}`,
    signal: session.signal,
  });
  const groups = prompts.map((prompt, i) => ({
    prompt,
    completions: samples
      .slice(6 * i, 6 * i + 6)
      .filter(({ completion }) => completion.trim() !== "")
      .map(({ completion }) => ({ text: ` ${completion.trim()}`, reward: sentiment(completion) })),
  }));
  return synthesisePreferences(groups, { seed, pairsPerPrompt: 6, temperature: 0.5 }).filter(
    ({ chosen, rejected }) => sentiment(chosen) !== sentiment(rejected),
  );
}
