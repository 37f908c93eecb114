import { type Finding, paired } from "../findings.ts";
import type { TargetsRow } from "./targets.ts";

const measures: [name: string, label: string][] = [
  ["forwardKl", "KL(p‖π)"],
  ["totalVariation", "TV"],
  ["jensenShannon", "JS"],
];

/** f-DPG's findings on one task and base: JS against forward KL, and what reverse KL trades for alignment. */
export function targetFindings(rows: readonly TargetsRow[], base: string, alignment: string): Finding[] {
  const of = (divergence: string, figure: string) =>
    rows
      .find((row) => row.base === base && row.divergence === divergence)
      ?.bySeed.map((seed) => seed[figure]) ?? [];
  return [
    ...measures.map(([figure, label]) => ({
      claim: `Jensen–Shannon ends nearer to the target than forward KL by ${label}`,
      difference: paired(of("forward-kl", figure), of("jensen-shannon", figure)),
    })),
    {
      claim: `reverse KL has more of ${alignment} than forward KL`,
      difference: paired(of("reverse-kl", `E ${alignment}`), of("forward-kl", `E ${alignment}`)),
    },
    {
      claim: "and less entropy",
      difference: paired(of("forward-kl", "entropy"), of("reverse-kl", "entropy")),
    },
  ];
}

/** The divergences of a base from the nearest to the target on, by their mean Jensen–Shannon divergence. */
export function order(rows: readonly TargetsRow[], base: string): string[] {
  return rows
    .filter((row) => row.base === base && row.divergence !== "(base)" && row.figures.jensenShannon)
    .sort((a, b) => a.figures.jensenShannon!.value - b.figures.jensenShannon!.value)
    .map(({ divergence }) => divergence);
}
