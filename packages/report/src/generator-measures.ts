import { comparison, type Figure, referenceOf, seedDifferences } from "./comparison.ts";
import { generatorColours, generatorsOf, givenTeachers } from "./generator-runs.ts";
import { heldAgainstRows } from "./held-against.ts";
import { heading, number, remark } from "./html.ts";
import { intervalCharts } from "./interval-charts.ts";
import type { RunData } from "./run-data.ts";
import { knownMean } from "./run-groups.ts";

const halves = "Fréchet floor of halves";
/** More columns than these do not fit a page. */
const mostColumns = 8;
const mostCharts = 6;

interface Measures {
  /** In whose features, of those that are measured in features. */
  features: string | undefined;
  keys: string[];
}

const featuresOf = (key: string): string | undefined => /\(([^()]+)\)$/.exec(key)?.[1];
const shortName = (key: string): string => key.replace(/ \([^()]+\)$/, "");

const studentFigures = ({ evaluation }: RunData): Record<string, number> =>
  evaluation.generator?.rows[0]?.figures ?? {};

/** A table's worth of figures for each kind of features; the others with the first kind where a page holds them. */
function tablesOf(runs: readonly RunData[]): Measures[] {
  const keys = [...new Set(runs.flatMap((run) => Object.keys(studentFigures(run))))].filter(
    (key) => !key.startsWith(halves),
  );
  const kinds = [...new Set(keys.map(featuresOf))].map((features) => ({
    features,
    keys: keys.filter((key) => featuresOf(key) === features),
  }));
  const bare = kinds.find(({ features }) => features === undefined);
  const [first] = kinds.filter((kind) => kind !== bare);
  if (!first || !bare || first.keys.length + bare.keys.length > mostColumns) return kinds;
  return [
    { ...first, keys: [...first.keys, ...bare.keys] },
    ...kinds.filter((kind) => kind !== first && kind !== bare),
  ];
}

const figureOf = (key: string): Figure => ({
  name: shortName(key),
  of: (run) => studentFigures(run)[key],
});

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** How many samples the figures are of, by what they are measured, and what the distance of real examples from each other is. */
function readingOf(runs: readonly RunData[]): string {
  const rows = runs.flatMap(({ evaluation }) => evaluation.generator?.rows ?? []);
  const counts = unique(rows.map(({ samples }) => samples));
  const features = unique(
    rows.flatMap(({ figures }) => Object.keys(figures)).flatMap((key) => featuresOf(key) ?? []),
  );
  const floors = features.flatMap((name) => {
    const mean = knownMean(runs.map((run) => studentFigures(run)[`${halves} (${name})`]));
    return mean === undefined ? [] : [`${number(mean)} (${name})`];
  });
  const accuracy = knownMean(runs.map(({ evaluation }) => evaluation.generator?.classifierAccuracy));
  const half = counts.length === 1 ? `${Math.floor(counts[0]! / 2)} each` : "half as many each";
  return [
    `${counts.join(" or ")} samples of each${features.length > 0 ? `, by the features of: ${features.join(", ")}` : ""}.`,
    floors.length > 0
      ? `Fréchet distances grow as samples get fewer: two halves of the real examples, ${half}, are ${floors.join(", ")} apart, which is more than the real row says of all of them.`
      : "",
    accuracy === undefined
      ? ""
      : `The classifier tells ${number(100 * accuracy)} % of the examples right that it was not trained on.`,
  ]
    .filter(Boolean)
    .join(" ");
}

/** Where the teacher's samples are, when a page has none. */
function missingTeacher(runs: readonly RunData[], rows: readonly (readonly string[])[]): string {
  if (rows.some(([name]) => name!.startsWith("teacher"))) return "";
  const folders = givenTeachers(runs)
    .filter((path) => path.endsWith("/teacher/model"))
    .map((path) => path.slice(0, -"/teacher/model".length));
  const where =
    folders.length > 0
      ? ` The run that trained it may have measured it; add it to this page: ${folders.join(", ")}.`
      : "";
  return remark(`The teacher was not sampled: evaluation.teacherSteps is empty.${where}`);
}

/** Every measure of each variant beside the teacher's and the real examples', and the differences to one variant seed by seed. */
export function measures(runs: readonly RunData[], against?: string): string {
  const generators = generatorsOf(runs);
  const variants = generators.variants.filter(({ runs: own }) => own.some((run) => run.evaluation.generator));
  if (variants.length === 0) return "";
  const own = variants.flatMap((variant) => variant.runs);
  const alone = variants.length === 1;
  const shown = alone
    ? variants.map((variant) => ({
        ...variant,
        name: own[0]!.evaluation.generator?.rows[0]?.name ?? variant.name,
      }))
    : variants;
  const what = alone ? "samples of" : "student under";
  const tables = tablesOf(own);
  const reference = referenceOf(variants, ["reverse-kl"], against);
  const several = tables.length > 1;
  return [
    remark(readingOf(own)),
    ...tables.map(({ features, keys }) => {
      const figures = keys.map(figureOf);
      const rows = heldAgainstRows(generators, keys);
      const differences = seedDifferences(what, variants, reference, figures);
      return [
        several
          ? heading(features === undefined ? "Of the samples themselves" : `By the features of: ${features}`)
          : "",
        comparison(what, shown, figures, rows),
        missingTeacher(own, rows),
        differences && heading(`Difference to ${reference.name}, seed by seed`) + differences,
        alone ? "" : intervalCharts(variants, figures.slice(0, mostCharts), generatorColours(generators)),
      ].join("");
    }),
  ].join("");
}
