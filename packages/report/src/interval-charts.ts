import { type Colours, type IntervalRow, intervals, plots, shortName } from "./charts.ts";
import type { Figure } from "./comparison.ts";
import type { Range } from "./run-data.ts";
import { overSeeds } from "./run-groups.ts";
import type { Variant } from "./variants.ts";

const none = Number.NaN;

/** A variant's figure over its seeds, else of its first run with the interval over items that it may have. */
function rowOf({ name, runs }: Variant, { of, range }: Figure): IntervalRow[] {
  const interval = overSeeds(runs.map(of)) ?? range?.(runs[0]!);
  const value = interval?.value ?? of(runs[0]!);
  return value === undefined
    ? []
    : [{ name, series: name, value, low: interval?.low ?? none, high: interval?.high ?? none }];
}

/** The figures of the variants with their intervals, a chart a figure that has any, the teacher's last. */
export function intervalCharts(
  variants: readonly Variant[],
  figures: readonly Figure[],
  colours: Colours,
  teacherOf: (figure: Figure) => Range | undefined = () => undefined,
): string {
  const shades: Colours = new Map([...colours, ["teacher", "currentColor"]]);
  return plots(
    figures.map((figure) => {
      const rows = variants.flatMap((variant) => rowOf(variant, figure));
      const hasIntervals = rows.some(({ low, high }) => high > low);
      const teacher = teacherOf(figure);
      const all = teacher ? [...rows, { name: "teacher", series: "teacher", ...teacher }] : rows;
      return hasIntervals ? intervals(figure.name, "", all, shades) : "";
    }),
    { isBroad: variants.some(({ name }) => name.length > shortName) },
  );
}
