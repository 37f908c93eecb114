import { legend, type Point, plots } from "./charts.ts";
import { figureName, lossColours, lossVariants } from "./distilled-runs.ts";
import type { RunData } from "./run-data.ts";
import { seedCurves } from "./seed-curves.ts";

const points =
  (which: "rows" | "evaluations", key: string) =>
  (run: RunData): Point[] =>
    run[which]
      .filter((row) => row.step !== undefined && row[key] !== undefined)
      .map((row) => ({ series: run.name, x: row.step!, y: row[key]! }));

const keysOf = (rows: readonly Record<string, number>[]): string[] => [
  ...new Set(rows.flatMap((row) => Object.keys(row))),
];

/** The loss and each of its terms over training, and each figure of the held-out items, a colour a loss. */
export function distillationCurves(runs: readonly RunData[]): string {
  const variants = lossVariants(runs);
  const own = variants.flatMap((variant) => variant.runs);
  const colours = lossColours(runs);
  const terms = keysOf(own.flatMap(({ rows }) => rows)).filter((key) => key.startsWith("terms/"));
  const held = keysOf(own.flatMap(({ evaluations }) => evaluations)).filter((key) => key !== "step");
  const trained: [caption: string, axis: string, key: string][] = [
    ["loss", "nats a point", "loss"],
    // A loss of one term is that term.
    ...(terms.length > 1
      ? terms.map((key): [string, string, string] => [`term ${key.slice("terms/".length)}`, "a point", key])
      : []),
    ...keysOf(own.flatMap(({ rows }) => rows))
      .filter((key) => key.endsWith("/row-error"))
      .map((key): [string, string, string] => [
        `plans of ${key.slice(0, -"/row-error".length)}: rows off`,
        "share of their mass",
        key,
      ]),
    ["gradient norm", "before clipping", "gradientNorm"],
    ["learning rate", "", "learningRate"],
  ];
  const drawn = plots([
    ...held.map((key) =>
      seedCurves(`held out: ${figureName(key)}`, "", variants, points("evaluations", key), colours),
    ),
    ...trained.map(([caption, axis, key]) =>
      seedCurves(caption, axis, variants, points("rows", key), colours),
    ),
  ]);
  return drawn === "" ? "" : legend(colours) + drawn;
}
