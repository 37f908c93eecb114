import { density, plots, reliability } from "./charts.ts";
import { generatorColours, generatorsOf } from "./generator-runs.ts";
import { number } from "./html.ts";
import type { RunData } from "./run-data.ts";
import { pooledBins } from "./run-groups.ts";

/** Points of two dimensions, a plot a source, on the same axes; of several variants the first run each, other sources once. */
export function densities(runs: readonly RunData[]): string {
  const { variants, teachers } = generatorsOf(runs);
  const alone = variants.length === 1;
  const students = variants.map(({ name, runs: [first] }) => ({
    title: alone ? "" : `${name}: `,
    sources: first!.evaluation.generator?.points ?? [],
  }));
  const others = [
    ...students,
    ...teachers.map(({ evaluation }) => ({ sources: evaluation.generator?.points ?? [] })),
  ];
  const once = new Map(
    others.flatMap(({ sources }) => sources.slice(1).map((source) => [source.name, source] as const)),
  );
  const sources = [
    ...students.flatMap(({ title, sources: [own] }) =>
      own ? [{ ...own, name: `${title}${own.name}` }] : [],
    ),
    ...once.values(),
  ];
  const all = sources.flatMap(({ points }) => points);
  const extent = (axis: 0 | 1): [number, number] => {
    const values = all
      .map((point) => point[axis]!)
      .filter(Number.isFinite)
      .sort((a, b) => a - b);
    // A few points far away must not shrink the rest to a dot.
    const at = (share: number) => values[Math.round(share * (values.length - 1))]!;
    const margin = 0.15 * (at(0.995) - at(0.005));
    return [at(0.005) - margin, at(0.995) + margin];
  };
  if (all.length === 0) return "";
  const domain = [extent(0), extent(1)] as const;
  return plots(sources.map(({ name, points }) => density(name, points, domain)));
}

/** How far a learned ratio can be believed, by noise level; the seeds of a variant together. */
export function ratioCalibrations(runs: readonly RunData[]): string {
  const generators = generatorsOf(runs);
  const { variants } = generators;
  const colours = generatorColours(generators);
  return plots(
    variants.flatMap(({ name: variant, runs: own }) => {
      const levels = own.map(({ evaluation }) => evaluation.generator?.calibration ?? []);
      return (levels[0] ?? []).map(({ name }, level) => {
        const { ece, bins } = pooledBins(levels.map((one) => one[level]?.bins ?? []));
        return reliability(
          `${variants.length > 1 ? `${variant}: ` : ""}${name}, ECE ${number(ece)}`,
          bins,
          colours.get(variant) ?? "#0072B2",
          ["p/(p + q) by the discriminator", "share of real examples"],
        );
      });
    }),
  );
}
