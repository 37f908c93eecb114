import type { Bin, Range, RunData } from "./run-data.ts";
import { betaOf, divergenceOf } from "./run-data.ts";

/** Runs whose configurations differ in their seed alone, and in where they were written. */
export interface RunGroup {
  divergence: string;
  beta?: number;
  runs: RunData[];
}

/** From so many seeds on a group is one point with an interval over them; fewer stay points of their own. */
export const seedsOfAPoint = 3;

/** A run's settings but for its seed and its places; without any, the run itself. */
function settingsOf({ name, config }: RunData): string {
  const { seed: _seed, output: _output, cache: _cache, ...settings } = config;
  return JSON.stringify(Object.keys(settings).length === 0 ? name : Object.entries(settings).sort());
}

/** Groups in the order of their first runs. */
export function groupRuns(runs: readonly RunData[]): RunGroup[] {
  const groups = new Map<string, RunGroup>();
  for (const run of runs) {
    const beta = betaOf(run);
    const key = settingsOf(run);
    const group = groups.get(key) ?? {
      divergence: divergenceOf(run),
      ...(beta !== undefined && { beta }),
      runs: [],
    };
    group.runs.push(run);
    groups.set(key, group);
  }
  return [...groups.values()];
}

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
