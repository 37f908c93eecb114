import { number } from "./html.ts";
import type { RunData } from "./run-data.ts";

interface Cost {
  name: string;
  of: (run: RunData) => string;
}

const values = ({ rows }: RunData, key: string): number[] =>
  rows.map((row) => row[key]).filter((value) => value !== undefined);

/** Seconds as people say them. */
export function duration(seconds: number): string {
  if (seconds < 90) return `${number(seconds, 2)} s`;
  return seconds < 5400 ? `${number(seconds / 60, 2)} min` : `${number(seconds / 3600, 2)} h`;
}

/** What a run's steps took, without evaluations and checkpoints: columns of tables, those alone that some run has. */
export function timeAndMemory(runs: readonly RunData[]): Cost[] {
  const time: Cost = {
    name: "time of steps",
    of: (run) => duration(values(run, "seconds").reduce((sum, one) => sum + one, 0)),
  };
  const memory: Cost = {
    name: "peak memory",
    of: (run) => {
      const peak = values(run, "peakMemoryMiB").reduce((most, one) => Math.max(most, one), 0);
      return peak > 0 ? `${number(peak / 1024)} GiB` : "–";
    },
  };
  return [
    ...(runs.some((run) => values(run, "seconds").length > 0) ? [time] : []),
    ...(runs.some((run) => values(run, "peakMemoryMiB").length > 0) ? [memory] : []),
  ];
}
