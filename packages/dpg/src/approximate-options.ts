import type { Divergence } from "@fdiv/divergences";
import type { Optimizer } from "@fdiv/tensor-core";
import type { BaselineKind } from "./baseline.ts";
import type { FeatureLike } from "./feature.ts";
import type { Policy, Proposal } from "./policy.ts";

export interface ApproximateOptions<X, C = undefined> {
  policy: Policy<X, C>;
  divergence: Divergence;
  /** Optimiser steps of the whole run. */
  steps: number;
  /** Contexts that outcomes depend on; default the one, undefined. */
  contexts?: readonly C[];
  /** How many contexts a step takes, in a new order each time round; default 8, or as many as there are. */
  contextsPerStep?: number;
  /** Outcomes drawn of each; default 64 for one context, else 8. */
  samplesPerContext?: number;
  /** What is drawn from: the policy itself (default), the target's base, or anything else. */
  proposal?: "policy" | "base" | Proposal<X, C>;
  /** The proposal becomes a copy of the policy whenever the policy is nearer to the target, by this divergence, over this many steps. */
  adaptive?: boolean | { divergence?: Divergence; every?: number };
  /** Default leave-one-out. */
  baseline?: BaselineKind;
  /** ε of (1 − ε)·p + ε·a, approximated in place of p; default 0. */
  smoothing?: number;
  /** Default AdamW with the learning rate given. */
  optimizer?: Optimizer;
  /** Of each step, counted from 0; default .001. */
  learningRate?: number | ((step: number) => number);
  /** Largest global norm of the gradient; default Infinity. */
  gradientClip?: number;
  /** Samples whose log-probabilities are differentiated at a time; default all of a step. */
  chunk?: number;
  partition?: {
    /** Outcomes drawn of a context when it is first met, so that its Z is known; default 256. */
    samples?: number;
    /** At most so many while none has any mass; default 16 × samples. */
    maxSamples?: number;
    /** What earlier draws count a step later; default .99. */
    decay?: number;
    /** log Z of each context, where it is known. */
    logZ?: readonly number[];
  };
  /** Features whose means under the policy are reported. */
  features?: readonly FeatureLike<X, C>[];
  /** Nats by which log-probabilities that came with draws may differ from those scored; default .01. */
  lawTolerance?: number;
  /** Default 0. */
  seed?: number | string;
}

/** The options with their defaults. */
export type Settings<X, C> = Required<
  Pick<
    ApproximateOptions<X, C>,
    | "contexts"
    | "contextsPerStep"
    | "samplesPerContext"
    | "proposal"
    | "baseline"
    | "smoothing"
    | "gradientClip"
    | "chunk"
    | "lawTolerance"
    | "seed"
  >
> & {
  partition: { samples: number; maxSamples: number; decay: number; logZ?: readonly number[] };
  adaptive?: { divergence: Divergence; every: number };
};

const known: Record<keyof ApproximateOptions<unknown, unknown>, true> = {
  policy: true,
  divergence: true,
  steps: true,
  contexts: true,
  contextsPerStep: true,
  samplesPerContext: true,
  proposal: true,
  adaptive: true,
  baseline: true,
  smoothing: true,
  optimizer: true,
  learningRate: true,
  gradientClip: true,
  chunk: true,
  partition: true,
  features: true,
  lawTolerance: true,
  seed: true,
};

function wholeNumber(name: string, value: number, least = 1): void {
  if (!(Number.isSafeInteger(value) && value >= least))
    throw new RangeError(`approximate: ${name} is ${value}, expected a whole number of at least ${least}.`);
}

/** Fills defaults in. Throws RangeError on an option that can't be or is not known. */
export function settle<X, C>(
  options: ApproximateOptions<X, C>,
  base: unknown,
  fallback: Divergence,
): Settings<X, C> {
  for (const name of Object.keys(options))
    if (!(name in known))
      throw new RangeError(
        `approximate: unknown option "${name}"; there are ${Object.keys(known).join(", ")}.`,
      );
  const {
    contexts = [undefined as C],
    proposal = "policy",
    baseline = "leave-one-out",
    smoothing = 0,
  } = options;
  wholeNumber("the number of contexts", contexts.length);
  const contextsPerStep = options.contextsPerStep ?? Math.min(8, contexts.length);
  const samplesPerContext = options.samplesPerContext ?? (contexts.length === 1 ? 64 : 8);
  const chunk = options.chunk ?? contextsPerStep * samplesPerContext;
  const { samples = 256, maxSamples = 16 * samples, decay = 0.99, logZ } = options.partition ?? {};
  const given = options.adaptive === true ? {} : options.adaptive || undefined;
  const adaptive = given && { divergence: given.divergence ?? fallback, every: given.every ?? 10 };
  for (const [name, value] of Object.entries({
    steps: options.steps,
    contextsPerStep,
    samplesPerContext,
    chunk,
  }))
    wholeNumber(name, value);
  wholeNumber("partition.samples", samples);
  wholeNumber("partition.maxSamples", maxSamples, samples);
  if (adaptive) wholeNumber("adaptive.every", adaptive.every);
  if (!(decay > 0 && decay <= 1))
    throw new RangeError(`approximate: partition.decay is ${decay}, expected a number in (0, 1].`);
  if (logZ && (logZ.length !== contexts.length || !logZ.every(Number.isFinite)))
    throw new RangeError(
      `approximate: partition.logZ is not one finite number for each of ${contexts.length} contexts.`,
    );
  if (!["none", "running-mean", "leave-one-out"].includes(baseline))
    throw new RangeError(
      `approximate: there is no baseline "${baseline}"; there are none, running-mean and leave-one-out.`,
    );
  if (!(smoothing >= 0 && smoothing < 1))
    throw new RangeError(`approximate: smoothing is ${smoothing}, expected a share of the base in [0, 1).`);
  if ((smoothing > 0 || proposal === "base") && !base)
    throw new RangeError(
      `approximate: ${smoothing > 0 ? "smoothing" : "the proposal"} needs the target's base, and this one has none.`,
    );
  if (baseline === "leave-one-out" && contextsPerStep * samplesPerContext < 2)
    throw new RangeError("approximate: leaving one out needs at least two samples a step.");
  if (adaptive && proposal === "policy")
    throw new RangeError(
      "approximate: the policy itself is the proposal; start an adaptive one from the base.",
    );
  if (adaptive && !options.policy.snapshot)
    throw new RangeError("approximate: an adaptive proposal needs a policy with snapshot().");
  return {
    contexts,
    contextsPerStep,
    samplesPerContext,
    proposal,
    baseline,
    smoothing,
    gradientClip: options.gradientClip ?? Number.POSITIVE_INFINITY,
    chunk,
    lawTolerance: options.lawTolerance ?? 0.01,
    seed: options.seed ?? 0,
    partition: { samples, maxSamples, decay, logZ },
    adaptive,
  };
}
