import type { Bin, Range, RunData } from "./run-data.ts";
import { betaOf, divergenceOf } from "./run-data.ts";
import { settingsOf } from "./settings.ts";

/** Runs whose configurations differ in their seed alone, and in where they were written. */
export interface RunGroup {
  divergence: string;
  beta?: number;
  runs: RunData[];
}

/** From so many seeds on a group is one point with an interval over them; fewer stay points of their own. */
export const seedsOfAPoint = 3;

/** Runs of the same key together, in the order of the first ones. */
function together(runs: readonly RunData[], keyOf: (run: RunData) => string): RunData[][] {
  const groups = new Map<string, RunData[]>();
  for (const run of runs) groups.set(keyOf(run), [...(groups.get(keyOf(run)) ?? []), run]);
  return [...groups.values()];
}

/** A run's settings but for its seed and its places; without any, the run itself. */
const keyOf =
  (isLoose: boolean) =>
  (run: RunData): string => {
    const settings = settingsOf(run, { isLoose });
    return settings.size === 0 ? run.name : JSON.stringify([...settings].sort());
  };

/** Runs that differ in their seed and places alone, in the order of the first ones; paths count whole where by their ends a seed would come twice. */
export function bySettings(runs: readonly RunData[]): RunData[][] {
  return together(runs, keyOf(true)).flatMap((group) =>
    new Set(group.map(({ config }) => config.seed)).size === group.length
      ? [group]
      : together(group, keyOf(false)),
  );
}

/** Groups in the order of their first runs. */
export const groupRuns = (runs: readonly RunData[]): RunGroup[] =>
  bySettings(runs).map((own) => {
    const beta = betaOf(own[0]!);
    return { divergence: divergenceOf(own[0]!), ...(beta !== undefined && { beta }), runs: own };
  });

/** A group's name, as in "jensen-shannon, β 0.1, 3 seeds". */
export function groupName({ divergence, beta, runs }: RunGroup): string {
  const seeds = runs.length > 1 ? `${runs.length} seeds` : runs[0]!.name === divergence ? "" : runs[0]!.name;
  return [divergence, beta === undefined ? "" : `β ${beta}`, seeds].filter(Boolean).join(", ");
}

/** Student's t below which 97.5 % lie, for 1 to 30 degrees of freedom. */
const student = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
  2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/** The mean of one figure over runs with its 95 % interval; undefined unless every run has it and there are two at least. */
export function overSeeds(values: readonly (number | undefined)[]): Range | undefined {
  const known = values.filter((value) => value !== undefined && Number.isFinite(value)) as number[];
  const n = known.length;
  if (n < 2 || n < values.length) return undefined;
  const mean = known.reduce((sum, value) => sum + value, 0) / n;
  const variance = known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const half = (student[n - 2] ?? 1.96 + 2.4 / (n - 1)) * Math.sqrt(variance / n);
  return { value: mean, low: mean - half, high: mean + half };
}

/** The mean of the values that there are; undefined of none. */
export function knownMean(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length > 0 ? known.reduce((sum, value) => sum + value, 0) / known.length : undefined;
}

/** The bins of several runs as those of all their outcomes together, and the calibration error of these. */
export function pooledBins(all: readonly (readonly Bin[])[]): { ece: number; bins: Bin[] } {
  const bins = new Map<number, Bin>();
  for (const { from, to, count, confidence, accuracy } of all.flat()) {
    if (!(count > 0)) continue;
    const own = bins.get(from) ?? { from, to, count: 0, confidence: 0, accuracy: 0 };
    const total = own.count + count;
    bins.set(from, {
      from,
      to,
      count: total,
      confidence: (own.confidence * own.count + confidence * count) / total,
      accuracy: (own.accuracy * own.count + accuracy * count) / total,
    });
  }
  const sorted = [...bins.values()].sort((a, b) => a.from - b.from);
  const total = sorted.reduce((sum, { count }) => sum + count, 0);
  const ece = sorted.reduce(
    (sum, { count, confidence, accuracy }) => sum + (count / total) * Math.abs(accuracy - confidence),
    0,
  );
  return { ece, bins: sorted };
}
