import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { checkConfig, type DistillationEvaluation, distillRun, distillSchema, type Session } from "@fdiv/cli";
import { type Figures, markdownTable, overSeeds } from "../figures.ts";
import { paired } from "../findings.ts";
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
  figures: Figures;
}

/** What a run's evaluation calls the generator's samples. */
const student = "student, 1 step";

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

/** The figures of each row's runs, in the runs' order: those of the source of samples with a name, and of the log. */
function figuresByRow(
  results: ReadonlyMap<DistillSweepRun, SweepResult>,
  source: string,
): Map<string, Record<string, number>[]> {
  const rows = new Map<string, Record<string, number>[]>();
  for (const [{ row }, { evaluation, logged: log }] of results) {
    const measured = evaluation.rows.find(({ name }) => name === source);
    if (!measured) continue;
    const figures = { ...measured.figures, ...(source === student ? log : {}) };
    rows.set(row, [...(rows.get(row) ?? []), figures]);
  }
  return rows;
}

/** Every row's figures over its runs. */
export function averages(results: ReadonlyMap<DistillSweepRun, SweepResult>, source = student): SweepRow[] {
  return [...figuresByRow(results, source)].map(([row, figures]) => ({
    row,
    runs: figures.length,
    figures: overSeeds(figures),
  }));
}

/** The first row's figures less those of each other row that has as many runs, run by run: seeds differ more than rows do, and have to come in the same order in each. */
export function differencesFromFirst(
  results: ReadonlyMap<DistillSweepRun, SweepResult>,
  columns: readonly string[],
): SweepRow[] {
  const [first, ...others] = [...figuresByRow(results, student)];
  if (!first) return [];
  return others
    .filter(([, figures]) => figures.length === first[1].length)
    .map(([row, figures]) => {
      const difference = (column: string) =>
        paired(
          first[1].map((one) => one[column]),
          figures.map((one) => one[column]),
        );
      return {
        row: `${first[0]} less ${row}`,
        runs: figures.length,
        figures: Object.fromEntries(
          columns.flatMap((column) => {
            const found = difference(column);
            return found ? [[column, found]] : [];
          }),
        ),
      };
    });
}

const short = (x: number): string => Number(x.toPrecision(3)).toString();

/** Rows as a Markdown table: means and half of each 95 % interval, to the digits that they have. */
export function sweepTable(rows: readonly SweepRow[], columns: readonly string[]): string {
  const shown = (row: SweepRow, name: string): string => {
    const figure = row.figures[name];
    if (!figure) return "–";
    const half = (figure.high - figure.low) / 2;
    return Number.isFinite(half)
      ? `${short(figure.value)} ± ${Number(half.toPrecision(2))}`
      : short(figure.value);
  };
  return markdownTable(
    ["", "runs", ...columns],
    rows.map((row) => [row.row, String(row.runs), ...columns.map((name) => shown(row, name))]),
  );
}
