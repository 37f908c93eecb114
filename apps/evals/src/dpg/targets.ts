import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { approachTarget, checkConfig, type DpgConfig, dpgSchema, openSession, type Session } from "@fdiv/cli";
import { baseModel, type Size, wordNetTexts } from "../base-model.ts";
import { type Figures, overSeeds } from "../figures.ts";
import { pathPart, sweep } from "../sweep.ts";
import { jsonTexts } from "./json-texts.ts";
import type { Task } from "./target-tasks.ts";

export interface TargetsOptions {
  /** In what is told of the progress, and of the file of figures. */
  name: string;
  task: Task;
  /** Base models: trained by the recipe in these sizes, or one that is there. */
  bases: { sizes: readonly Size[] } | { model: string; tokenizer?: string };
  /** Where base models are trained. */
  material: string;
  output: string;
  divergences: readonly string[];
  baselines: readonly string[];
  seeds: readonly number[];
  steps: number;
  learningRate: number;
  samplesPerStep: number;
  evaluationSamples: number;
}

/** Means over seeds with their intervals, and how they came about. */
export interface TargetsRow {
  base: string;
  divergence: string;
  baseline: string;
  figures: Figures;
  /** The same seed by seed, in the seeds' order. */
  bySeed: Record<string, number | null>[];
  /** Means over seeds of the training log, by figure: one number a step. */
  curves: Record<string, number[]>;
}

interface Evaluated {
  moments: Record<string, { value: number }>;
  measures?: Record<string, { value: number | null }>;
  distinct: Record<string, number>;
  selfBleu: Record<string, number>;
}

const flat = ({ moments, measures = {}, distinct, selfBleu }: Evaluated): Record<string, number | null> => ({
  ...Object.fromEntries(Object.entries(moments).map(([name, { value }]) => [`E ${name}`, value])),
  ...Object.fromEntries(Object.entries(measures).map(([name, { value }]) => [name, value])),
  "distinct-1": distinct["1"]!,
  "distinct-2": distinct["2"]!,
  "self-BLEU-5": selfBleu["5"]!,
});

const curveNames = ["jensen-shannon", "kl-to-base", "entropy"];

/** The training log of some seeds, averaged step by step. */
async function curvesOf(
  runs: readonly string[],
  features: readonly string[],
): Promise<Record<string, number[]>> {
  const logs = await Promise.all(
    runs.map(async (run) =>
      (await readFile(join(run, "metrics.jsonl"), "utf8"))
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, number>),
    ),
  );
  const steps = Math.min(...logs.map((log) => log.length));
  const names = [...curveNames, ...features.map((name) => `moments/${name}`)];
  return Object.fromEntries(
    names.map((name) => [
      name,
      Array.from(
        { length: steps },
        (_, step) => logs.reduce((sum, log) => sum + (log[step]![name] ?? Number.NaN), 0) / logs.length,
      ),
    ]),
  );
}

async function basesOf(options: TargetsOptions, session: Session): Promise<[name: string, model: string][]> {
  const { bases, task, material } = options;
  if ("model" in bases) return [["given", bases.model]];
  const texts = task.corpus === "json" ? jsonTexts() : await wordNetTexts();
  const found: [string, string][] = [];
  for (const size of bases.sizes)
    found.push([size, await baseModel(join(material, task.corpus), size, texts, session)]);
  return found;
}

function configOf(
  options: TargetsOptions,
  model: string,
  divergence: string,
  baseline: string,
  seed: number,
  output: string,
): DpgConfig {
  const { task, bases, samplesPerStep } = options;
  const prompts = task.prompts?.length ?? 1;
  return checkConfig(
    dpgSchema,
    {
      model,
      ...("model" in bases && bases.tokenizer !== undefined && { tokenizer: bases.tokenizer }),
      target: { ...task.target, samples: 4096 },
      ...(task.prompts && { prompts: [...task.prompts], promptsPerStep: prompts }),
      divergence,
      baseline,
      // Reverse KL is infinite on what the target rules out; the others are trained on the target itself.
      smoothing: task.zeros && divergence === "reverse-kl" ? 0.01 : 0,
      steps: options.steps,
      learningRate: options.learningRate,
      schedule: "cosine",
      samplesPerPrompt: Math.ceil(samplesPerStep / prompts),
      maxTokens: task.maxTokens,
      chunk: 256,
      partition: { samples: 1024 },
      evaluationSamples: options.evaluationSamples,
      checkpointEvery: 1_000_000,
      samplesEvery: 1_000_000,
      seed,
      output,
    },
    "targets",
  );
}

/**
 * One task under every base model × divergence × baseline × seed, trained and judged alike; each base's own figures come as a row of their
 * own. Runs that are finished are not repeated, so an interrupted sweep goes on.
 */
export async function approachTargets(options: TargetsOptions): Promise<TargetsRow[]> {
  const { name, task, output, divergences, baselines, seeds } = options;
  await mkdir(output, { recursive: true });
  const session = await openSession({ quiet: true });
  try {
    const bases = await basesOf(options, session);
    const settings = bases.flatMap(([base, model]) =>
      divergences.flatMap((divergence) =>
        baselines.map((baseline) => ({ base, model, divergence, baseline })),
      ),
    );
    const runs = settings.flatMap((setting) =>
      seeds.map((seed, round) => {
        const { base, model, divergence, baseline } = setting;
        const directory = join(output, pathPart(`${base}-${divergence}-${baseline}-seed${seed}`));
        return {
          directory,
          round,
          result: "evaluation.json",
          make: (quiet: Session, resume: boolean) =>
            approachTarget(configOf(options, model, divergence, baseline, seed, directory), quiet, {
              resume,
            }),
        };
      }),
    );
    const results = await sweep<{ policy: Evaluated; base: Evaluated }>(name, runs, session);
    const features = task.alignment.map(({ feature }) => feature);
    const rows: TargetsRow[] = [];
    for (const [i, { base, divergence, baseline }] of settings.entries()) {
      const own = results.slice(i * seeds.length, (i + 1) * seeds.length);
      if (!rows.some((row) => row.base === base))
        rows.push({
          base,
          divergence: "(base)",
          baseline: "",
          figures: overSeeds(own.map((result) => flat(result.base))),
          bySeed: own.map((result) => flat(result.base)),
          curves: {},
        });
      const directories = runs.slice(i * seeds.length, (i + 1) * seeds.length).map((run) => run.directory);
      rows.push({
        base,
        divergence,
        baseline,
        figures: overSeeds(own.map((result) => flat(result.policy))),
        bySeed: own.map((result) => flat(result.policy)),
        curves: await curvesOf(directories, features),
      });
    }
    await writeFile(join(output, `${name}.json`), `${JSON.stringify(rows, null, 2)}\n`);
    return rows;
  } finally {
    session.close();
  }
}
