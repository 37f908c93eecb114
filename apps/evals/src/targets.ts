import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { approachTarget, checkConfig, dpgSchema, openSession } from "@fdiv/cli";
import { meanInterval } from "@fdiv/metrics";

type Task = "lexical" | "distributional" | "several" | "preference";

const nice = { words: { good: 1, happy: 1, nice: 1, kind: 1, love: 1, smile: 1 }, measure: "sum" };

/** The targets of the paper's experiments in the small (arXiv 2302.08215, section 4), by their part of the configuration. */
const targets: Record<Task, object> = {
  lexical: { times: [{ word: "ball" }] },
  distributional: { constrain: [{ feature: { words: ["she", "her"], name: "female" }, moment: 0.5 }] },
  several: {
    constrain: [
      { feature: { words: ["she", "her"], name: "female" }, moment: 0.5 },
      { feature: { words: ["park", "garden", "tree"], name: "outdoors" }, moment: 0.3 },
    ],
  },
  preference: { tilt: { reward: { ...nice, name: "kindness" }, beta: 0.5 } },
};
export const tasks = Object.keys(targets) as Task[];

export interface TargetsOptions {
  task: Task;
  model: string;
  tokenizer?: string;
  output: string;
  divergences: readonly string[];
  baselines: readonly string[];
  seeds: readonly number[];
  steps: number;
  learningRate: number;
  samplesPerStep: number;
  maxTokens: number;
}

interface Figures {
  moments: Record<string, { value: number }>;
  measures: Record<string, { value: number | null }>;
  distinct: Record<string, number>;
  selfBleu: Record<string, number>;
}

/** Means over seeds with their intervals, by the figure's name. */
export interface TargetsRow {
  divergence: string;
  baseline: string;
  figures: Record<string, { value: number; low: number; high: number }>;
}

const flat = ({ moments, measures, distinct, selfBleu }: Figures): Record<string, number> => ({
  ...Object.fromEntries(Object.entries(moments).map(([name, { value }]) => [`E ${name}`, value])),
  ...Object.fromEntries(
    Object.entries(measures).flatMap(([name, { value }]) => (value === null ? [] : [[name, value]])),
  ),
  "distinct-2": distinct["2"]!,
  "self-BLEU-5": selfBleu["5"]!,
});

function averaged(rows: readonly Record<string, number>[]): TargetsRow["figures"] {
  const names = Object.keys(rows[0] ?? {}).filter((name) => rows.every((row) => Number.isFinite(row[name])));
  return Object.fromEntries(names.map((name) => [name, meanInterval(rows.map((row) => row[name]!))]));
}

/**
 * One task under every divergence × baseline × seed, trained and judged alike; the base's figures come as a row of their own. Runs that
 * are there already are not repeated, so an interrupted sweep goes on.
 */
export async function approachTargets(options: TargetsOptions): Promise<TargetsRow[]> {
  const { task, output, divergences, baselines, seeds } = options;
  await mkdir(output, { recursive: true });
  const session = await openSession({ quiet: true });
  const rows: TargetsRow[] = [];
  const bases: Record<string, number>[] = [];
  try {
    for (const divergence of divergences)
      for (const baseline of baselines) {
        const found: Record<string, number>[] = [];
        for (const seed of seeds) {
          const run = join(output, `${divergence.replace(":", "-")}-${baseline}-seed${seed}`);
          const file = join(run, "evaluation.json");
          if (!existsSync(file)) {
            process.stderr.write(`${run}\n`);
            // Reverse KL is infinite on what a word rules out; the others are trained on the target itself.
            const smoothing = task === "lexical" && divergence === "reverse-kl" ? 0.01 : 0;
            const config = checkConfig(
              dpgSchema,
              {
                model: options.model,
                ...(options.tokenizer !== undefined && { tokenizer: options.tokenizer }),
                target: targets[task],
                divergence,
                baseline,
                smoothing,
                steps: options.steps,
                learningRate: options.learningRate,
                samplesPerPrompt: options.samplesPerStep,
                maxTokens: options.maxTokens,
                partition: { samples: 1024 },
                evaluationSamples: 1024,
                checkpointEvery: 1_000_000,
                seed,
                output: run,
              },
              "targets",
            );
            await approachTarget(config, session, { resume: existsSync(join(run, "metrics.jsonl")) });
          }
          const evaluation = JSON.parse(await readFile(file, "utf8")) as { policy: Figures; base: Figures };
          found.push(flat(evaluation.policy));
          bases.push(flat(evaluation.base));
        }
        rows.push({ divergence, baseline, figures: averaged(found) });
      }
  } finally {
    session.close();
  }
  const all = [{ divergence: "(base)", baseline: "", figures: averaged(bases) }, ...rows];
  await writeFile(join(output, "targets.json"), `${JSON.stringify(all, null, 2)}\n`);
  return all;
}

/** The rows as a Markdown table: each figure's mean and half of its 95 % interval over seeds. */
export function targetsTable(rows: readonly TargetsRow[]): string {
  const names = [...new Set(rows.flatMap(({ figures }) => Object.keys(figures)))];
  const shown = (row: TargetsRow, name: string) => {
    const found = row.figures[name];
    return found ? `${found.value.toFixed(3)} ± ${((found.high - found.low) / 2).toFixed(3)}` : "–";
  };
  return [
    `| divergence | baseline | ${names.join(" | ")} |`,
    `|${"---|".repeat(names.length + 2)}`,
    ...rows.map(
      (row) =>
        `| ${row.divergence} | ${row.baseline} | ${names.map((name) => shown(row, name)).join(" | ")} |`,
    ),
  ].join("\n");
}
