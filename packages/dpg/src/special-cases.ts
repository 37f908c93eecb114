import { forwardKl, reverseKl } from "@fdiv/divergences";
import { type ApproximateState, type Approximation, approximate } from "./approximate.ts";
import type { ApproximateOptions } from "./approximate-options.ts";
import { leaveOneOut } from "./baseline.ts";
import type { FeatureLike } from "./feature.ts";
import type { Distribution } from "./policy.ts";
import { SampleCountError } from "./policy.ts";
import { type Target, target } from "./target.ts";
import { checkNumbers } from "./weights.ts";

type Options<X, C> = Omit<ApproximateOptions<X, C>, "divergence">;

/** DPG (Parshakova, Andreoli & Dymetman 2019, arXiv 1912.08517): forward KL, on-policy unless a proposal is given, without a baseline unless asked. */
export function dpg<X, C = undefined>(
  towards: Target<X, C>,
  options: Options<X, C>,
  state?: ApproximateState,
): Approximation {
  return approximate(towards, { baseline: "none", ...options, divergence: forwardKl }, state);
}

/** GDC's KL-adaptive DPG (arXiv 2012.11635, algorithm 1): forward KL, drawn from the base until the policy is nearer to the target, then from a copy of it. */
export function gdc<X, C = undefined>(
  towards: Target<X, C>,
  options: Options<X, C>,
  state?: ApproximateState,
): Approximation {
  return approximate(
    towards,
    { proposal: "base", adaptive: true, baseline: "none", ...options, divergence: forwardKl },
    state,
  );
}

/** A reward held to a base: max E_π r − β·KL(π‖a). */
export interface RewardOptions<X, C> extends Options<X, C> {
  base: Distribution<X, C>;
  reward: FeatureLike<X, C>;
  beta: number;
}

/**
 * REINFORCE with a KL penalty, as f-DPG of reverse KL to a·exp(r/β): ∇KL(π‖p) = −∇J/β, J = E_π r − β·KL(π‖a), so that steps of Adam are the
 * same (arXiv 2302.08215, section 3.3). The baseline is a running mean unless another is asked for.
 */
export function reinforceWithKl<X, C = undefined>(
  options: RewardOptions<X, C>,
  state?: ApproximateState,
): Approximation {
  const { base, reward, beta, ...others } = options;
  const towards = target(base).tilt(reward, { beta });
  return approximate(towards, { baseline: "running-mean", ...others, divergence: reverseKl }, state);
}

/** RLOO (Ahmadian et al. 2024, arXiv 2402.14740) with the KL penalty in the reward: REINFORCE whose baseline is the mean of a context's other samples. */
export function rloo<X, C = undefined>(
  options: RewardOptions<X, C>,
  state?: ApproximateState,
): Approximation {
  return reinforceWithKl({ ...options, baseline: "leave-one-out" }, state);
}

/**
 * Advantages of REINFORCE with a KL penalty, Aᵢ = rᵢ − β·(log πᵢ − log aᵢ) − bᵢ: mean Aᵢ·∇log πᵢ is ∇J, to be ascended. They are −β times
 * the coefficients of reverse KL, log Z gone into the baseline.
 *
 * @param batch [samples] each
 * @param options.baseline nothing, the mean of the other samples of the context, or a number of one's own
 * @throws RangeError on lengths, NaN and β; SampleCountError when there are too few samples
 */
export function reinforceAdvantages(
  batch: {
    rewards: ArrayLike<number>;
    logPolicy: ArrayLike<number>;
    logBase: ArrayLike<number>;
    groups?: ArrayLike<number>;
  },
  options: { beta: number; baseline?: "none" | "leave-one-out" | number },
): Float64Array {
  const { rewards, logPolicy, logBase } = batch;
  const { beta, baseline = "none" } = options;
  const samples = rewards.length;
  if (!(beta >= 0 && Number.isFinite(beta)))
    throw new RangeError(`reinforceAdvantages: beta is ${beta}, expected a number of at least 0.`);
  if (samples === 0 || (samples < 2 && baseline === "leave-one-out"))
    throw new SampleCountError(`reinforceAdvantages: ${samples} samples are too few.`);
  checkNumbers("reinforceAdvantages", samples, { rewards, logPolicy, logBase, groups: batch.groups });
  const penalised = Float64Array.from({ length: samples }, (_, i) =>
    beta === 0 ? rewards[i]! : rewards[i]! - beta * (logPolicy[i]! - logBase[i]!),
  );
  if (baseline === "none") return penalised;
  if (typeof baseline === "number") return penalised.map((x) => x - baseline);
  const means = leaveOneOut(penalised, new Float64Array(samples), batch.groups ?? new Int32Array(samples));
  return penalised.map((x, i) => x - means[i]!);
}
