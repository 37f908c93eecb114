import "@tensorflow/tfjs";
import { type Divergence, divergence, divergenceNames } from "@fdiv/divergences";
import {
  type ConstraintFit,
  checkEstimator,
  feature,
  tabularDistribution,
  target,
  toleratesZeros,
} from "@fdiv/dpg";

/** A policy, a target that is not normalised, and a proposal, over six outcomes. */
const problem = {
  logPolicy: tabularDistribution([5, 4, 3, 2, 1, 1]).table(),
  logScores: [0.2, 0.9, 0.1, 1.4, 0.6, 2].map(Math.log),
  logProposal: tabularDistribution([1, 2, 2, 3, 2, 2]).table(),
};
/** The same target with two outcomes ruled out. */
const withZeros = { ...problem, logScores: problem.logScores.map((x, i) => (i % 3 === 0 ? -Infinity : x)) };

const baselines = ["none", "running-mean", "leave-one-out"] as const;

export interface EstimatorRow {
  divergence: string;
  proposal: "policy" | "another";
  target: "everywhere" | "with zeros";
  baseline: (typeof baselines)[number];
  /** Largest error of the mean gradient, its largest component being 1. */
  relativeError: number;
  /** The largest deviation in standard errors, of as many components. */
  largest: number;
  beyondThree: number;
  components: number;
}

/** The gradient estimator of every divergence by Monte Carlo against the exact gradient, on and off the policy. */
export function* estimatorRows(options: { samples: number; seed: number }): Generator<EstimatorRow> {
  const cases = (of: Divergence): [EstimatorRow["target"], typeof problem][] => [
    ["everywhere", problem],
    ...(toleratesZeros(of)
      ? ([["with zeros", withZeros]] as [EstimatorRow["target"], typeof problem][])
      : []),
  ];
  for (const name of [...divergenceNames().filter((one) => !one.includes("<")), "alpha:0.5"]) {
    const trained = divergence(name);
    for (const [where, whole] of cases(trained))
      for (const proposal of ["policy", "another"] as const)
        for (const baseline of baselines) {
          const { logProposal, ...onPolicy } = whole;
          const found = checkEstimator(proposal === "policy" ? onPolicy : { ...onPolicy, logProposal }, {
            divergence: trained,
            baseline,
            samples: options.samples,
            // Draws of its own, so that rows err independently.
            seed: `${options.seed} ${name} ${where} ${proposal} ${baseline}`,
          });
          const size = Math.max(...found.exact.map(Math.abs));
          yield {
            divergence: name,
            proposal,
            target: where,
            baseline,
            relativeError: Math.max(...found.mean.map((x, k) => Math.abs(x - found.exact[k]!))) / size,
            largest: found.largest,
            beyondThree: found.deviations.filter((z) => Math.abs(z) > 3).length,
            components: found.deviations.length,
          };
        }
  }
}

/** A binary feature brought from one mean to another by Newton's method, from samples; λ = logit μ − logit μ₀ is right. */
export async function momentRow(from: number, to: number, samples: number): Promise<string[]> {
  const base = tabularDistribution([1 - from, from]);
  const logit = (p: number) => Math.log(p / (1 - p));
  const right = (logit(to) - logit(from)).toFixed(5);
  let fit: ConstraintFit;
  try {
    const rare = feature((x: number) => x === 1, { name: "rare" });
    ({ fit } = await target(base).constrain([{ feature: rare, moment: to }], {
      samples,
      maxSamples: samples,
    }));
  } catch (error) {
    // A refusal is a result too.
    return [`${from} → ${to}`, right, "–", "–", (error as Error).message];
  }
  return [
    `${from} → ${to}`,
    right,
    `${fit.coefficients[0]!.toFixed(3)} ± ${(1.96 * fit.standardErrors[0]!).toFixed(3)}`,
    fit.effectiveSamples.toFixed(0),
    fit.warnings.join("; ") || "–",
  ];
}
