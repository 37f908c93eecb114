import { type Divergence, reverseKl } from "@fdiv/divergences";
import type { Optimizer } from "@fdiv/tensor-core";
import type { ActorCritic, TokenReference } from "./actor-critic.ts";
import type { FeatureLike } from "./feature.ts";
import { fixedKlCoefficient, type KlCoefficient } from "./kl-penalty.ts";

export interface PpoOptions<X, C = undefined> {
  policy: ActorCritic<X, C>;
  reference: TokenReference<X, C>;
  reward: FeatureLike<X, C>;
  /** Rounds of the whole run: outcomes are drawn, then learnt from over some epochs. */
  steps: number;
  /** What holds the policy to the reference; default reverse KL. */
  divergence?: Divergence;
  /**
   * Where the divergence enters: subtracted from the reward (default), or added to the loss. Of each token's own log-ratio, or of the whole sequence's. Per
   * sequence the penalty is D_f(π‖ref) itself; per token it is that only for reverse KL, where it is the default and tells
   * the tokens apart.
   */
  penalty?: { place?: "reward" | "loss"; per?: "token" | "sequence" };
  /** β of max E r − β·D_f(π‖ref), or what steers it by the D_f that is seen; default .05. */
  coefficient?: number | KlCoefficient;
  /** Contexts that outcomes depend on; default the one, undefined. */
  contexts?: readonly C[];
  /** How many contexts a step takes, in a new order each time round; default 8, or as many as there are. */
  contextsPerStep?: number;
  /** Outcomes drawn of each; default 64 for one context, else 8. */
  samplesPerContext?: number;
  /** How often a step's outcomes are gone through, in a new order each time; default 4. */
  epochs?: number;
  /** Outcomes an optimiser step; default a quarter of those drawn. */
  minibatch?: number;
  /** ε of the clipped ratio, default .2. */
  clip?: number;
  /** ε of the clipped value, in units of reward; not clipped (null) by default. */
  valueClip?: number | null;
  /** What the value's loss counts beside the policy's; default .1. */
  valueWeight?: number;
  /** γ, default 1. */
  gamma?: number;
  /** λ of generalised advantage estimation, default .95. */
  lambda?: number;
  /** Whether a step's advantages are brought to mean 0 and variance 1; default true. A penalty in the loss is scaled alike. */
  whiten?: boolean;
  /** Default AdamW with the learning rate given. */
  optimizer?: Optimizer;
  /** Of each step, counted from 0; default .001. */
  learningRate?: number | ((step: number) => number);
  /** Largest global norm of the gradient; default Infinity. */
  gradientClip?: number;
  /** Outcomes computed at a time, which changes no result but by rounding; default all of a minibatch. */
  chunk?: number;
  /** Features whose means under the policy are reported. */
  features?: readonly FeatureLike<X, C>[];
  /** Nats by which log-probabilities that came with draws may differ from those scored; default .01. */
  lawTolerance?: number;
  /** Default 0. */
  seed?: number | string;
}

/** The options with their defaults. */
export interface PpoSettings<C> {
  divergence: Divergence;
  place: "reward" | "loss";
  per: "token" | "sequence";
  coefficient: KlCoefficient;
  contexts: readonly C[];
  contextsPerStep: number;
  samplesPerContext: number;
  epochs: number;
  minibatch: number;
  clip: number;
  valueClip: number | null;
  valueWeight: number;
  gamma: number;
  lambda: number;
  whiten: boolean;
  gradientClip: number;
  chunk: number;
  lawTolerance: number;
  seed: number | string;
}

const known: Record<keyof PpoOptions<unknown, unknown>, true> = {
  policy: true,
  reference: true,
  reward: true,
  steps: true,
  divergence: true,
  penalty: true,
  coefficient: true,
  contexts: true,
  contextsPerStep: true,
  samplesPerContext: true,
  epochs: true,
  minibatch: true,
  clip: true,
  valueClip: true,
  valueWeight: true,
  gamma: true,
  lambda: true,
  whiten: true,
  optimizer: true,
  learningRate: true,
  gradientClip: true,
  chunk: true,
  features: true,
  lawTolerance: true,
  seed: true,
};

function oneOf(name: string, value: string, all: readonly string[]): void {
  if (!all.includes(value))
    throw new RangeError(`ppo: there is no ${name} "${value}"; there are ${all.join(" and ")}.`);
}

/** Fills defaults in. Throws RangeError on an option that can't be or is not known. */
export function settlePpo<X, C>(options: PpoOptions<X, C>): PpoSettings<C> {
  for (const name of Object.keys(options))
    if (!(name in known))
      throw new RangeError(`ppo: unknown option "${name}"; there are ${Object.keys(known).join(", ")}.`);
  const { contexts = [undefined as C], divergence = reverseKl, coefficient = 0.05 } = options;
  const { place = "reward", per = divergence.name === reverseKl.name ? "token" : "sequence" } =
    options.penalty ?? {};
  oneOf("place of the penalty", place, ["reward", "loss"]);
  oneOf("penalty per", per, ["token", "sequence"]);
  const contextsPerStep = options.contextsPerStep ?? Math.min(8, contexts.length);
  const samplesPerContext = options.samplesPerContext ?? (contexts.length === 1 ? 64 : 8);
  const samples = contextsPerStep * samplesPerContext;
  const minibatch = options.minibatch ?? Math.ceil(samples / 4);
  const settings: PpoSettings<C> = {
    divergence,
    place,
    per,
    coefficient: typeof coefficient === "number" ? fixedKlCoefficient(coefficient) : coefficient,
    contexts,
    contextsPerStep,
    samplesPerContext,
    epochs: options.epochs ?? 4,
    minibatch,
    clip: options.clip ?? 0.2,
    valueClip: options.valueClip ?? null,
    valueWeight: options.valueWeight ?? 0.1,
    gamma: options.gamma ?? 1,
    lambda: options.lambda ?? 0.95,
    whiten: options.whiten ?? true,
    gradientClip: options.gradientClip ?? Number.POSITIVE_INFINITY,
    chunk: options.chunk ?? minibatch,
    lawTolerance: options.lawTolerance ?? 0.01,
    seed: options.seed ?? 0,
  };
  const { epochs, chunk, clip, valueClip, valueWeight, gamma, lambda } = settings;
  const counts = { steps: options.steps, contextsPerStep, samplesPerContext, epochs, minibatch, chunk };
  for (const [name, value] of Object.entries({ "the number of contexts": contexts.length, ...counts }))
    if (!(Number.isSafeInteger(value) && value >= 1))
      throw new RangeError(`ppo: ${name} is ${value}, expected a whole number of at least 1.`);
  if (minibatch > samples)
    throw new RangeError(`ppo: minibatch is ${minibatch}, but a step draws ${samples} outcomes.`);
  if (!(clip > 0 && clip < 1)) throw new RangeError(`ppo: clip is ${clip}, expected a number in (0, 1).`);
  if (valueClip !== null && !(valueClip > 0))
    throw new RangeError(`ppo: valueClip is ${valueClip}, expected a positive number or null.`);
  if (!(valueWeight >= 0 && Number.isFinite(valueWeight)))
    throw new RangeError(`ppo: valueWeight is ${valueWeight}, expected a number of at least 0.`);
  for (const [name, value] of Object.entries({ gamma, lambda }))
    if (!(value >= 0 && value <= 1))
      throw new RangeError(`ppo: ${name} is ${value}, expected a number in [0, 1].`);
  return settings;
}
