import type { KdEvaluation } from "@fdiv/cli";
import { type Interval, meanInterval } from "@fdiv/metrics";
import { shown } from "../figures.ts";

export interface KdSeedRow {
  name: string;
  seed: number;
  distillation: KdEvaluation["distillation"];
}

/** Means over seeds, with their intervals. */
export interface KdSummary {
  name: string;
  seeds: number;
  /** By official metric, on the reported split. */
  student: Record<string, Interval>;
  /** The teacher's figures, which are those of one model. */
  teacher: Record<string, number>;
  /** The last loss of the list less this one, seed by seed, of the first metric. */
  behind?: Interval;
  agreement?: Interval;
  totalVariation?: Interval;
  forwardKl?: Interval;
}

/** Summaries in the order of the names; of texts, which have no metric, the figures of the held-out points. */
export function summariseSeeds(rows: readonly KdSeedRow[], names: readonly string[]): KdSummary[] {
  const of = (name: string) => rows.filter((row) => row.name === name).sort((a, b) => a.seed - b.seed);
  const last = [...names].reverse().find((name) => !name.includes("=")) ?? names.at(-1)!;
  return names.map((name) => {
    const own = of(name);
    const over = (pick: (row: KdSeedRow) => number) => meanInterval(own.map(pick));
    const [first] = own as [KdSeedRow];
    const { student, teacher, nearness, heldOut } = first.distillation;
    const metrics = Object.keys(student ?? {});
    const value = (row: KdSeedRow): number => row.distillation.student![metrics[0]!]!.value;
    return {
      name,
      seeds: own.length,
      student: student
        ? Object.fromEntries(
            metrics.map((metric) => [metric, over((row) => row.distillation.student![metric]!.value)]),
          )
        : Object.fromEntries(
            Object.keys(heldOut).map((key) => [key, over((row) => row.distillation.heldOut[key]!)]),
          ),
      teacher: Object.fromEntries(
        Object.entries(teacher ?? {}).map(([key, interval]) => [key, interval.value]),
      ),
      ...(metrics.length > 0 &&
        name !== last && {
          behind: meanInterval(
            of(last)
              .map((row, i) => value(row) - value(own[i] ?? row))
              .slice(0, own.length),
          ),
        }),
      ...(nearness && {
        agreement: over((row) => row.distillation.nearness!.agreement),
        totalVariation: over((row) => row.distillation.nearness!.totalVariation),
        forwardKl: over((row) => row.distillation.nearness!.forwardKl),
      }),
    };
  });
}

/** A Markdown table of summaries. */
export function kdTable(summary: readonly KdSummary[]): string {
  const [{ student, teacher, behind: _, ...first }] = summary as [KdSummary];
  const metrics = Object.keys(student);
  const header = [
    "loss",
    ...metrics,
    "last loss less this one",
    "same answer as teacher",
    "TV to teacher",
    "KL(T‖S)",
  ];
  const lines = summary.map((row) =>
    [
      row.name,
      ...metrics.map((metric) => shown(row.student[metric])),
      shown(row.behind),
      shown(row.agreement),
      shown(row.totalVariation),
      shown(row.forwardKl),
    ].join(" | "),
  );
  const own =
    Object.keys(teacher).length > 0
      ? [["*teacher*", ...metrics.map((m) => teacher[m]?.toFixed(3) ?? "–"), "", "", "", ""].join(" | ")]
      : [];
  return [
    `Means over ${first.seeds} seeds ± half of the 95 % interval (Student's).\n`,
    header.join(" | "),
    header.map(() => "---").join("|"),
    ...own,
    ...lines,
  ].join("\n");
}
