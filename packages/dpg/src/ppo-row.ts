import type { Estimated } from "./measures.ts";

/** One step's figures: rewards, divergences and entropy of the policy that drew the outcomes, the rest of the epochs learnt from them. */
export interface PpoRow {
  /** Counts from 1. */
  step: number;
  samples: number;
  tokens: number;
  /** E_π r. */
  reward: Estimated;
  /** E_π r − β·D_f(π‖ref), what is maximised. */
  objective: number;
  /** β, as it was in this step. */
  coefficient: number;
  /** D_f(π‖ref) of the divergence that is the penalty. */
  divergence: Estimated;
  /** KL(π‖ref): the mean log-ratio of a sequence. */
  klToReference: Estimated;
  /** KL(ref‖π). */
  klFromReference: Estimated;
  /** −E_π log π of a sequence. */
  entropy: Estimated;
  /** Means of the features under the policy, by name. */
  moments: Record<string, Estimated>;
  /** Means over updates. */
  policyLoss: number;
  valueLoss: number;
  /** Share of tokens whose ratio was clipped. */
  clipped: number;
  /** k3 of old‖new a token in the last epoch: how far the step moved the policy. */
  approximateKl: number;
  gradientNorm: number;
  /** 1 − Var(R − V)/Var(R) of the values that the outcomes were drawn with; 1 is a perfect critic, 0 one that knows nothing. */
  explainedVariance: number;
  updates: number;
}

/** A row as plain numbers by name, for files of metrics; `name/se` is the standard error of `name`. */
export function flatPpoMetrics(row: PpoRow): Record<string, number> {
  const { reward, divergence, klToReference, klFromReference, entropy, moments, ...numbers } = row;
  const flat: Record<string, number> = {
    step: row.step,
    samples: row.samples,
    tokens: row.tokens,
    coefficient: row.coefficient,
    objective: row.objective,
    "policy-loss": numbers.policyLoss,
    "value-loss": numbers.valueLoss,
    clipped: row.clipped,
    "approximate-kl": numbers.approximateKl,
    "gradient-norm": numbers.gradientNorm,
    "explained-variance": numbers.explainedVariance,
    updates: row.updates,
  };
  const estimates: Record<string, Estimated> = {
    reward,
    divergence,
    "kl-to-base": klToReference,
    "kl-from-base": klFromReference,
    entropy,
    ...Object.fromEntries(Object.entries(moments).map(([name, x]) => [`moments/${name}`, x])),
  };
  for (const [name, { value, standardError }] of Object.entries(estimates)) {
    flat[name] = value;
    flat[`${name}/se`] = standardError;
  }
  return flat;
}
