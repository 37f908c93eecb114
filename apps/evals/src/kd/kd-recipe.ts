import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { distilRun, type KdEvaluation, kdSchema, openSession, readConfig } from "@fdiv/cli";
import { renderReport } from "@fdiv/report";
import { readRun } from "@fdiv/report/node";
import { type KdSeedRow, type KdSummary, summariseSeeds } from "./kd-table.ts";

export interface KdRecipe {
  output: string;
  /** `key=value` settings of every run, as `fdiv kd --set` takes them. */
  settings: readonly string[];
  losses: readonly string[];
  /** One key at a time, each with its values; of the last loss alone. */
  vary: readonly { key: string; values: readonly string[] }[];
  seeds: readonly number[];
}

interface Variant {
  name: string;
  settings: string[];
}

const plain = (text: string): string => text.replaceAll(/[^\w.-]+/g, "-");

/** Every loss as it is, then the last one with each varied key. */
function variantsOf({ losses, vary }: KdRecipe): Variant[] {
  return [
    ...losses.map((loss) => ({ name: loss, settings: [`loss=${loss}`] })),
    ...vary.flatMap(({ key, values }) =>
      values.map((value) => ({
        name: `${key}=${value}`,
        settings: [`loss=${losses.at(-1)!}`, `${key}=${value}`],
      })),
    ),
  ];
}

/** Shares a checkpoint's disk space: figures are what is kept of a run here; and no dropout, so that losses differ by themselves alone. */
const lean = ["checkpointEvery=1000000", "keep=1", "dropout=0", "teacher.fineTune.dropout=0"];

/**
 * The same student distilled under every loss and variation, seed by seed, from one teacher whose outputs are computed once. What is there
 * already is not repeated, and a run that was interrupted goes on.
 */
export async function distilVariants(recipe: KdRecipe): Promise<KdSummary[]> {
  const { output, settings, seeds } = recipe;
  await mkdir(output, { recursive: true });
  const session = await openSession({ quiet: true });
  const variants = variantsOf(recipe);
  const rows: KdSeedRow[] = [];
  try {
    for (const seed of seeds)
      for (const { name, settings: own } of variants) {
        const run = join(output, `${plain(name)}-seed${seed}`);
        const file = join(run, "evaluation.json");
        if (!existsSync(file)) {
          process.stderr.write(`${run}\n`);
          const config = await readConfig(kdSchema, undefined, [
            ...lean,
            `teacher.fineTune.output=${join(output, "teacher")}`,
            `teacher.cache.folder=${join(output, "teacher-outputs")}`,
            ...settings,
            ...own,
            `seed=${seed}`,
            `output=${run}`,
          ]);
          await distilRun(config, session, { resume: existsSync(join(run, "metrics.jsonl")) });
        }
        const { distillation } = JSON.parse(await readFile(file, "utf8")) as KdEvaluation;
        rows.push({ name, seed, distillation });
      }
  } finally {
    session.close();
  }
  const summary = summariseSeeds(
    rows,
    variants.map(({ name }) => name),
  );
  await writeFile(join(output, "kd.json"), `${JSON.stringify({ settings, seeds, summary }, null, 2)}\n`);
  const runs = await Promise.all(
    rows.map(({ name, seed }) => readRun(join(output, `${plain(name)}-seed${seed}`))),
  );
  await writeFile(join(output, "report.html"), renderReport(runs, { title: "Distillation by loss" }));
  return summary;
}
