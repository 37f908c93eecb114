import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { distilRun, type KdEvaluation, kdSchema, openSession, readConfig, type Session } from "@fdiv/cli";
import { renderReport } from "@fdiv/report";
import { readRun } from "@fdiv/report/node";
import { pathPart, sweep } from "../sweep.ts";
import { heardSettings, type Variant } from "./heard-settings.ts";
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

/** Every loss as it is, then the last one with each varied key. */
export function variantsOf({ losses, vary }: Pick<KdRecipe, "losses" | "vary">): Variant[] {
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
  const session = await openSession({ quiet: true });
  const variants = variantsOf(recipe);
  const heard = await heardSettings(settings, variants);
  const runs = seeds.flatMap((seed, round) =>
    variants.map(({ name, settings: own }, at) => {
      const directory = join(output, `${pathPart(name)}-seed${seed}`);
      const make = async (quiet: Session, resume: boolean) => {
        const config = await readConfig(kdSchema, undefined, [
          ...lean,
          `teacher.fineTune.output=${join(output, "teacher")}`,
          `teacher.cache.folder=${join(output, "teacher-outputs")}`,
          ...heard[at]!,
          ...own,
          `seed=${seed}`,
          `output=${directory}`,
        ]);
        await distilRun(config, quiet, { resume });
      };
      return { name, seed, run: { directory, result: "evaluation.json", round, make } };
    }),
  );
  const evaluations = await sweep<KdEvaluation>(
    "kd",
    runs.map(({ run }) => run),
    session,
  ).finally(() => session.close());
  const rows = runs.map(
    ({ name, seed }, i): KdSeedRow => ({ name, seed, distillation: evaluations[i]!.distillation }),
  );
  const summary = summariseSeeds(
    rows,
    variants.map(({ name }) => name),
  );
  await writeFile(join(output, "kd.json"), `${JSON.stringify({ settings, seeds, summary }, null, 2)}\n`);
  const read = await Promise.all(runs.map(({ run }) => readRun(run.directory)));
  await writeFile(join(output, "report.html"), renderReport(read, { title: "Distillation by loss" }));
  return summary;
}
