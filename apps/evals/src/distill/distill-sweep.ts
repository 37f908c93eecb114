import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { checkConfig, type DistillationEvaluation, distillRun, distillSchema, type Session } from "@fdiv/cli";
import { meanInterval } from "@fdiv/metrics";
import { sweep } from "../sweep.ts";

/** One run of a sweep: where it goes, and its configuration but for that. */
export interface DistillSweepRun {
  name: string;
  /** The row of the table that it belongs to. */
  row: string;
  config: object;
}

/** Means over runs with their 95 % intervals, by the figure's name. */
export interface SweepRow {
  row: string;
  runs: number;
  figures: Record<string, { value: number; low: number; high: number }>;
}

/** A run's evaluation and the averages of its log's second half. */
export interface SweepResult {
  evaluation: DistillationEvaluation["generator"];
  logged: Record<string, number>;
}

const watched = ["weightVariance", "effectiveSamples", "clampedRatios", "generatorGradientNorm", "meanRatio"];

async function logged(directory: string): Promise<Record<string, number>> {
  const lines = (await readFile(join(directory, "metrics.jsonl"), "utf8")).trim().split("\n");
  const rows = lines.slice(Math.floor(lines.length / 2)).map((line) => JSON.parse(line));
  return Object.fromEntries(
    watched.flatMap((name) => {
      const values = rows.map((row) => row[name]).filter((value) => typeof value === "number");
      return values.length === 0 ? [] : [[name, values.reduce((a, b) => a + b, 0) / values.length]];
    }),
  );
}

/** Runs what is not there yet, each going on where it stopped, and reads all results; checkpoints of finished runs are removed. */
export async function distillSweep(
  runs: readonly DistillSweepRun[],
  output: string,
  session: Session,
): Promise<Map<DistillSweepRun, SweepResult>> {
  const made = runs.map(({ name, config: given }) => {
    const directory = join(output, name);
    return {
      directory,
      result: "evaluation.json",
      // What comes before the steps, such as the teacher's own training, goes on too.
      begun: "config.json",
      async make(quiet: Session, resume: boolean) {
        const config = checkConfig(distillSchema, { ...given, output: directory }, name);
        await distillRun(config, quiet, { resume });
        await rm(join(directory, "checkpoints"), { recursive: true, force: true });
      },
    };
  });
  const evaluations = await sweep<DistillationEvaluation>("distill", made, session);
  const found = new Map<DistillSweepRun, SweepResult>();
  for (const [i, run] of runs.entries())
    found.set(run, {
      evaluation: evaluations[i]!.generator,
      logged: await logged(join(output, run.name)),
    });
  return found;
}

/** Every row's figures over its runs; figures of the source of samples with a name, and of the log. */
export function averages(
  results: ReadonlyMap<DistillSweepRun, SweepResult>,
  source = "student, 1 step",
): SweepRow[] {
  const rows = new Map<string, Record<string, number>[]>();
  for (const [{ row }, { evaluation, logged: log }] of results) {
    const measured = evaluation.rows.find(({ name }) => name === source);
    if (!measured) continue;
    rows.set(row, [
      ...(rows.get(row) ?? []),
      { ...measured.figures, ...(source.startsWith("student") ? log : {}) },
    ]);
  }
  return [...rows].map(([row, figures]) => ({
    row,
    runs: figures.length,
    figures: Object.fromEntries(
      Object.keys(figures[0]!)
        .filter((name) => figures.every((one) => Number.isFinite(one[name])))
        .map((name) => [name, meanInterval(figures.map((one) => one[name]!))]),
    ),
  }));
}

const short = (x: number): string => Number(x.toPrecision(3)).toString();

/** Rows as a Markdown table: means and half of each 95 % interval. */
export function sweepTable(rows: readonly SweepRow[], columns: readonly string[]): string {
  const shown = (row: SweepRow, name: string): string => {
    const figure = row.figures[name];
    if (!figure) return "–";
    const half = (figure.high - figure.low) / 2;
    return Number.isFinite(half)
      ? `${short(figure.value)} ± ${Number(half.toPrecision(2))}`
      : short(figure.value);
  };
  return [
    `| | runs | ${columns.join(" | ")} |`,
    `|${"---|".repeat(columns.length + 2)}`,
    ...rows.map(
      (row) => `| ${row.row} | ${row.runs} | ${columns.map((name) => shown(row, name)).join(" | ")} |`,
    ),
  ].join("\n");
}
