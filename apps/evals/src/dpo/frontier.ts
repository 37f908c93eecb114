import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  alignRun,
  checkConfig,
  dpoSchema,
  type EvaluationRow,
  evaluateAligned,
  openSession,
} from "@fdiv/cli";
import { renderReport } from "@fdiv/report";
import { readRun } from "@fdiv/report/node";
import { writeDurably } from "@fdiv/trainer/node";
import { type Figures, overSeeds } from "../figures.ts";

export interface FrontierOptions {
  /** The folder that `fdiv demo` made: its base model, pairs and prompts are the setting. */
  demo: string;
  output: string;
  divergences: readonly string[];
  betas: readonly number[];
  seeds: readonly number[];
  learningRate: number;
  epochs: number;
}

/** One point of the frontier: means over seeds with their intervals, and what each seed says. */
export interface FrontierPoint {
  divergence: string;
  beta: number;
  figures: Figures;
  bySeed: Record<string, number>[];
}

/** The figures of a point, in the order of the table. */
export const frontierFigures = ["reward", "klToReference", "entropy", "distinct2", "accuracy"] as const;

/** A run that is there already counts only if it was made by the same settings. */
async function checkSame(run: string, config: object): Promise<void> {
  const made: unknown = JSON.parse(await readFile(join(run, "config.json"), "utf8"));
  if (JSON.stringify(made) !== JSON.stringify(config))
    throw new Error(`${run} was made with other settings than these; choose another --output.`);
}

/**
 * The reward–divergence and reward–diversity frontier of f-DPO (arXiv 2309.16240, figure 2) in the small: every divergence × β × seed
 * trained and judged alike, with a report of all of them. Runs that are there already are not repeated, so an interrupted sweep goes on.
 */
export async function frontier(options: FrontierOptions): Promise<FrontierPoint[]> {
  const { demo, output, divergences, betas, seeds } = options;
  await mkdir(output, { recursive: true });
  const session = await openSession({ quiet: true });
  const points: FrontierPoint[] = [];
  const runs: string[] = [];
  try {
    for (const divergence of divergences)
      for (const beta of betas) {
        const rows: EvaluationRow[] = [];
        for (const seed of seeds) {
          const run = join(output, `${divergence.replace(":", "-")}-beta${beta}-seed${seed}`);
          const file = join(run, "frontier.json");
          runs.push(run);
          const config = checkConfig(
            dpoSchema,
            {
              model: join(demo, "base", "model"),
              data: { train: join(demo, "pairs.jsonl"), eval: 0.1, maxLength: 48, template: "plain" },
              divergence,
              beta,
              learningRate: options.learningRate,
              epochs: options.epochs,
              batchSize: 32,
              output: run,
              cache: join(output, "cache"),
              checkpointEvery: 1_000_000,
              seed,
            },
            "frontier",
          );
          if (existsSync(file)) await checkSame(run, config);
          else {
            process.stderr.write(`${run}\n`);
            await alignRun(config, session, { resume: existsSync(join(run, "metrics.jsonl")) });
            await writeDurably(file, JSON.stringify(await evaluateAligned(config, demo, session)));
          }
          rows.push(JSON.parse(await readFile(file, "utf8")) as EvaluationRow);
        }
        const bySeed = rows.map((row) =>
          Object.fromEntries(frontierFigures.map((name): [string, number] => [name, row[name]])),
        );
        points.push({ divergence, beta, figures: overSeeds(bySeed), bySeed });
      }
  } finally {
    session.close();
  }
  await writeDurably(join(output, "frontier.json"), `${JSON.stringify(points, null, 2)}\n`);
  const page = renderReport(await Promise.all(runs.map((run) => readRun(run))), {
    title: "f-DPO: reward against divergence and diversity",
  });
  await writeDurably(join(output, "report.html"), page);
  return points;
}
