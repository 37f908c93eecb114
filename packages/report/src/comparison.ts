import { number, tableOfKnown } from "./html.ts";
import type { Range, RunData } from "./run-data.ts";
import { overSeeds } from "./run-groups.ts";
import type { Variant } from "./variants.ts";

/** A figure of a run under a name for people. */
export interface Figure {
  name: string;
  of: (run: RunData) => number | undefined;
  /** The interval over one run's own items, where it has one. */
  range?: (run: RunData) => Range | undefined;
}

const mostDecimals = 6;
/** Of figures that are not small: a thousandth is as much as is read. */
const decimalsOfLarge = 3;

/** A mean and half of its interval, which has two digits and the mean its decimals. */
export function meanAndHalf({ value, high }: Range, isDifference = false): string {
  const half = high - value;
  const signed = (text: string): string =>
    Number(text) === 0 ? text.replace("-", "") : isDifference && value > 0 ? `+${text}` : text;
  if (!(half > 10 ** -mostDecimals)) return `${signed(number(value))} ± ${half >= 0 ? "0" : "–"}`;
  const most = Math.abs(value) >= 0.1 ? decimalsOfLarge : mostDecimals;
  const decimals = Math.min(most, Math.max(0, 1 - Math.floor(Math.log10(half))));
  return `${signed(value.toFixed(decimals))} ± ${half.toFixed(decimals)}`;
}

/** An interval over items, which need not lie evenly round its figure. */
export const inBrackets = ({ value, low, high }: Range): string =>
  `${number(value)} [${number(low)}, ${number(high)}]`;

/** A figure of a variant: over its seeds, or of its one run. */
function cell({ runs }: Variant, { of, range }: Figure): string {
  const mean = overSeeds(runs.map(of));
  if (mean) return meanAndHalf(mean);
  if (runs.length > 1) return "–";
  const own = range?.(runs[0]!);
  return own ? inBrackets(own) : number(of(runs[0]!));
}

/** A row a variant, its figures over seeds; `rows` (name, seeds, figures) are of what they are held against. */
export function comparison(
  what: string,
  variants: readonly Variant[],
  figures: readonly Figure[],
  rows: readonly (readonly string[])[] = [],
): string {
  const hasSeeds = variants.some(({ runs }) => runs.length > 1);
  const body = [
    ...variants.map((variant) => [
      variant.name,
      hasSeeds ? String(variant.runs.length) : "–",
      ...figures.map((figure) => cell(variant, figure)),
    ]),
    ...rows.map((row) => (hasSeeds ? row : row.map((one, i) => (i === 1 ? "–" : one)))),
  ];
  return tableOfKnown([what, "seeds", ...figures.map(({ name }) => name)], body);
}

/** What the others are held against: the one asked for, else of the variants with the most seeds the first preferred one that is there, else the first. */
export function referenceOf(
  variants: readonly Variant[],
  preferred: readonly string[],
  against?: string,
): Variant {
  const most = Math.max(...variants.map(({ runs }) => runs.length));
  const whole = variants.filter(({ runs }) => runs.length === most);
  const asked = variants.filter(({ name }) => name === against);
  const known = preferred.flatMap((name) => whole.filter((variant) => variant.name === name));
  return asked[0] ?? known[0] ?? whole[0]!;
}

/** Each figure of a variant less the reference's of the same seed, over the seeds that both have; empty where no two have. */
export function seedDifferences(
  what: string,
  variants: readonly Variant[],
  reference: Variant,
  figures: readonly Figure[],
): string {
  const rows = variants
    .filter((variant) => variant !== reference)
    .flatMap((variant) => {
      const pairs = variant.runs.flatMap((run) =>
        reference.runs
          .filter(({ config }) => config.seed === run.config.seed)
          .slice(0, 1)
          .map((other) => [run, other] as const),
      );
      const less = ({ of }: Figure): string => {
        const differences = pairs.map(([run, other]) => {
          const [own, its] = [of(run), of(other)];
          return own === undefined || its === undefined ? undefined : own - its;
        });
        const mean = overSeeds(differences);
        return mean ? meanAndHalf(mean, true) : "–";
      };
      return pairs.length < 2 ? [] : [[variant.name, String(pairs.length), ...figures.map(less)]];
    });
  if (rows.length === 0) return "";
  return tableOfKnown([what, "seeds", ...figures.map(({ name }) => name)], rows);
}
