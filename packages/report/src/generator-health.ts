import type { Figure } from "./comparison.ts";
import { generatorsOf } from "./generator-runs.ts";
import { number, table } from "./html.ts";
import type { RunData } from "./run-data.ts";
import { knownMean } from "./run-groups.ts";
import { timeAndMemory } from "./time-and-memory.ts";

const last = <T>(values: readonly T[]): T | undefined => values.at(-1);
const meanOf =
  (key: string) =>
  ({ rows }: RunData): number | undefined =>
    knownMean(rows.map((row) => row[key]));

/** Shares are means over the steps that have them. */
const healthFigures: Figure[] = [
  { name: "clamped ratios", of: meanOf("clampedRatios") },
  { name: "clamped logits", of: meanOf("clampedLogits") },
  { name: "saturated weights", of: meanOf("saturatedWeights") },
  { name: "effective samples of a batch", of: meanOf("effectiveSamples") },
  {
    name: "skipped steps",
    of: ({ rows }) => last(rows.map((row) => row.skipped).filter((one) => one !== undefined)),
  },
  { name: "examples a second", of: meanOf("examplesPerSecond") },
];

/** What was clamped, saturated or skipped, and what a run took. */
export function health(runs: readonly RunData[]): string {
  const { variants } = generatorsOf(runs);
  const own = variants.flatMap((variant) => variant.runs).filter(({ rows }) => rows.length > 0);
  if (own.length === 0) return "";
  const costs = timeAndMemory(own);
  const figures = healthFigures.filter(({ of }) => own.some((run) => of(run) !== undefined));
  return table(
    ["run", "steps", ...figures.map(({ name }) => name), ...costs.map(({ name }) => name)],
    own.map((run) => [
      run.name,
      number(last(run.rows)?.step, 6),
      ...figures.map(({ of }) => number(of(run))),
      ...costs.map(({ of }) => of(run)),
    ]),
    "small",
  );
}
