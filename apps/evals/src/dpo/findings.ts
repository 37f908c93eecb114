import { type Finding, paired } from "../findings.ts";
import { type MethodRow, nameOf } from "./method.ts";

/** What each seed says of a divergence at a β. */
export interface SeedRows {
  divergence: string;
  beta: number;
  bySeed: readonly Record<string, number>[];
}

/** f-DPO's findings at one β: the order of the divergences by accuracy and by diversity. */
export function divergenceFindings(rows: readonly SeedRows[], beta: number): Finding[] {
  const of = (divergence: string, figure: string) =>
    rows
      .find((row) => row.divergence === divergence && row.beta === beta)
      ?.bySeed.map((seed) => seed[figure]) ?? [];
  const present = new Set(rows.map(({ divergence }) => divergence));
  const chain = ["reverse-kl", "jensen-shannon", "alpha:0.5", "forward-kl"].filter((name) =>
    present.has(name),
  );
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
