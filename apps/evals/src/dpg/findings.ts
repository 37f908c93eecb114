import { type Interval, meanInterval } from "@fdiv/metrics";
import type { MethodRow } from "../dpo/method.ts";
import { nameOf } from "../dpo/method.ts";
import type { TargetsRow } from "./targets.ts";

/** One of a paper's findings, held against the runs. */
export interface Finding {
  /** What is claimed: that the difference is positive. */
  claim: string;
  difference: Interval | undefined;
}

/** What the 95 % interval of the difference says of a claim. */
export function verdict({ difference }: Finding): string {
  if (!difference) return "not measured";
  if (difference.low > 0) return "reproduces";
  return difference.high < 0 ? "the reverse" : "undecided";
}

/** Differences seed by seed; undefined where one is missing or infinite. */
function paired(
  a: readonly (number | null | undefined)[],
  b: readonly (number | null | undefined)[],
): Interval | undefined {
  const differences = a.map((x, i) => (x ?? Number.NaN) - (b[i] ?? Number.NaN));
  return differences.length > 0 && differences.every(Number.isFinite) ? meanInterval(differences) : undefined;
}

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

/** f-DPO's findings at one β: the order of the divergences, and what PPO pays for as much reward. */
export function methodFindings(rows: readonly MethodRow[], beta: number): Finding[] {
  const of = (divergence: string, figure: string) =>
    rows
      .find((row) => row.method === "f-DPO" && row.divergence === divergence && row.beta === beta)
      ?.bySeed.map((seed) => seed[figure]) ?? [];
  const chain = ["reverse-kl", "jensen-shannon", "alpha:0.5", "forward-kl"];
  return chain.slice(1).flatMap((after, i) => {
    const before = chain[i]!;
    return [
      {
        claim: `accuracy falls from ${before} to ${after}`,
        difference: paired(of(before, "accuracy"), of(after, "accuracy")),
      },
      {
        claim: `entropy rises from ${before} to ${after}`,
        difference: paired(of(after, "entropy"), of(before, "entropy")),
      },
    ];
  });
}

/** Whether f-DPO under reverse KL has more reward at a KL than a way of PPO, by the rewards interpolated seed by seed. */
export function efficiencyFindings(
  rows: readonly MethodRow[],
  rewardAt: (name: string, kl: number) => readonly (number | undefined)[],
  kl: number,
): Finding[] {
  const own = rewardAt("f-DPO reverse-kl", kl);
  const others = [...new Set(rows.filter(({ method }) => method === "PPO").map(nameOf))];
  return others.map((name) => ({
    claim: `f-DPO under reverse KL has more reward at KL ${kl} than ${name}`,
    difference: paired(own, rewardAt(name, kl)),
  }));
}
