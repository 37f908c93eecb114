import type { Estimated, Measures } from "./measures.ts";
import type { PartitionEstimate } from "./partition.ts";
import type { WeightStatistics } from "./weights.ts";

/** One step's figures, of the policy before its parameters changed. */
export interface StepRow extends Measures {
  /** Counts from 1. */
  step: number;
  samples: number;
  /** D_f(π‖p) of the divergence that is trained; to the smoothed target, where it is. */
  divergence: Estimated;
  /** One a context of the step. */
  partition: readonly PartitionEstimate[];
  /** −E_π s, each score bounded by 10⁴. */
  pseudoReward: number;
  /** Of π/q. */
  weights: WeightStatistics;
  /** Share of the samples that have any mass under the target. */
  accepted: number;
  /** Means of the features under the policy, by name. */
  moments: Record<string, Estimated>;
  /** Global norm before clipping. */
  gradientNorm: number;
  /** Coefficients that were cut to e⁴⁰. */
  saturated: number;
  /** Contexts of the step that no sample of has any mass, and that were left out. */
  skippedContexts: number;
  /** The proposal became a copy of the policy after this step. */
  proposalChanged: boolean;
}

/** A row as plain numbers by name, for files of metrics; `name/se` is the standard error of `name`. */
export function flatMetrics(row: StepRow): Record<string, number> {
  const flat: Record<string, number> = { step: row.step, samples: row.samples };
  const estimates: Record<string, Estimated | undefined> = {
    divergence: row.divergence,
    "forward-kl": row.forwardKl,
    "reverse-kl": row.reverseKl,
    "total-variation": row.totalVariation,
    "jensen-shannon": row.jensenShannon,
    "kl-to-base": row.klToBase,
    entropy: row.entropy,
    ...Object.fromEntries(Object.entries(row.moments).map(([name, x]) => [`moments/${name}`, x])),
  };
  for (const [name, estimate] of Object.entries(estimates)) {
    if (!estimate) continue;
    flat[name] = estimate.value;
    flat[`${name}/se`] = estimate.standardError;
  }
  const mean = (of: (partition: PartitionEstimate) => number): number =>
    row.partition.reduce((sum, partition) => sum + of(partition), 0) / row.partition.length;
  flat["log-z"] = mean(({ logZ }) => logZ);
  flat["log-z/low"] = mean(({ interval }) => interval[0]);
  flat["log-z/high"] = mean(({ interval }) => interval[1]);
  flat["z-effective-samples"] = Math.min(...row.partition.map((partition) => partition.effectiveSamples));
  flat["pseudo-reward"] = row.pseudoReward;
  flat["effective-samples"] = row.weights.effectiveSamples;
  flat["largest-weight"] = row.weights.largestShare;
  flat.accepted = row.accepted;
  flat["gradient-norm"] = row.gradientNorm;
  flat.saturated = row.saturated;
  flat["skipped-contexts"] = row.skippedContexts;
  flat["proposal-changed"] = Number(row.proposalChanged);
  return flat;
}
