import { meanAndHalf } from "./comparison.ts";
import { type Generators, trainersOf } from "./generator-runs.ts";
import { number } from "./html.ts";
import type { GeneratorEvaluation, RunData } from "./run-data.ts";
import { overSeeds } from "./run-groups.ts";
import type { Variant } from "./variants.ts";

type Row = GeneratorEvaluation["rows"][number];

/** The teacher's or the real examples' figures, seed by seed, and the variants that are held against them. */
interface HeldAgainst {
  name: string;
  rows: Row[];
  variants: string[];
}

/** Everything but the student, which is the first row. */
const others = ({ evaluation }: RunData): Row[] => evaluation.generator?.rows.slice(1) ?? [];

/** Rows of one name, each seed's once. */
function bySeed(runs: readonly RunData[], name: string): Row[] {
  const seeds = new Map<unknown, Row>();
  for (const run of runs)
    for (const row of others(run))
      if (row.name === name && !seeds.has(run.config.seed)) seeds.set(run.config.seed, row);
  return [...seeds.values()];
}

function heldAgainst(generators: Generators): HeldAgainst[] {
  const found = new Map<string, HeldAgainst>();
  const add = ({ name: variant, runs }: Variant): void => {
    const all = [...runs, ...trainersOf({ name: variant, runs }, generators)];
    for (const name of new Set(all.flatMap((run) => others(run).map((row) => row.name)))) {
      const rows = bySeed(all, name);
      const key = JSON.stringify([name, rows]);
      const known = found.get(key);
      if (known) known.variants.push(variant);
      else found.set(key, { name, rows, variants: [variant] });
    }
  };
  generators.variants.forEach(add);
  const isReal = ({ name }: HeldAgainst): number => Number(name === "real");
  return [...found.values()].sort((a, b) => isReal(a) - isReal(b));
}

const mostNamed = 2;

/** For whom, where not all variants are held against the same; what most are needs no word. */
function forWhom({ name, variants }: HeldAgainst, all: readonly HeldAgainst[]): string {
  const alike = all.filter((other) => other.name === name);
  if (alike.every((other) => other.variants === variants || other.variants.length < variants.length))
    return name;
  const more = variants.length - mostNamed;
  return `${name} (for ${variants.slice(0, mostNamed).join(" and ")}${more > 0 ? ` and ${more} more` : ""})`;
}

/** Cells of the teacher and of real examples: a name, seeds, and each figure over them. */
export function heldAgainstRows(generators: Generators, keys: readonly string[]): string[][] {
  const all = heldAgainst(generators);
  return all.map((one) => [
    forWhom(one, all),
    String(one.rows.length),
    ...keys.map((key) => {
      const values = one.rows.map(({ figures }) => figures[key]);
      const range = overSeeds(values);
      return range ? meanAndHalf(range) : values.length === 1 ? number(values[0]) : "–";
    }),
  ]);
}
