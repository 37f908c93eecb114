import { type Divergence, reverseKl } from "@fdiv/divergences";
import type { Random } from "@fdiv/tensor-core";
import type * as tf from "@tensorflow/tfjs-core";
import { checkWeightAdmissible } from "./admissibility.ts";
import type { Denoiser, Discriminator, Generator, TrainableDenoiser } from "./denoiser.ts";
import type { DensityRatioOptions } from "./density-ratio.ts";
import type { Ema, EmaOptions } from "./ema.ts";
import type { LearnerOptions } from "./learner.ts";
import type { NoiseDistribution } from "./noise-distribution.ts";
import type { RatioNormaliserOptions } from "./ratio-normaliser.ts";
import type { Snapshot } from "./snapshot.ts";
import type { DataSource } from "./train-denoiser.ts";
import type { UpdateScheduleOptions } from "./update-schedule.ts";

/** log p_t − log q_t of the generator's noised examples, [batch], where it is known. */
export type ExactLogRatio = (x: tf.Tensor, sigma: tf.Tensor1D, condition?: tf.Tensor) => tf.Tensor1D;

export interface GradientPenaltyOptions {
  /** exact: ‖∇ₓ logit‖²; approximate: (logit(x) − logit(x + δz))². */
  kind: "exact" | "approximate";
  /** Multiplies the penalty. */
  weight: number;
  /** δ of the approximate one, the difference's step of the exact one; default .01. */
  step?: number;
}

export interface DistilOptions {
  /** Frozen; already guided where guidance is wanted: see classifierFreeGuidance. */
  teacher: Denoiser;
  generator: Generator;
  /** Learns the generator's own scores; it starts from the teacher's weights. */
  fake: TrainableDenoiser;
  /** Default reverse KL, with which this is DMD2. */
  divergence?: Divergence;
  /** Shape of one z, without the batch. */
  latentShape: readonly number[];
  steps: number;
  /** Default 64. */
  batchSize?: number;
  /** Examples that are in memory at once, a divisor of the batch size; the same numbers whatever it is, up to rounding. Default the whole batch. */
  microBatch?: number;
  seed?: number | string;
  /** Real examples, for the discriminator; their conditions are the generator's too. */
  data?: DataSource;
  /** Conditions for the generator when there is no data. */
  conditions?: (random: Random, count: number) => tf.Tensor;
  /** Gives ratios and the adversarial term. */
  discriminator?: Discriminator;
  /** The ratio where it is known, instead of the discriminator's. */
  exactLogRatio?: ExactLogRatio;
  /** Clamps of the discriminator's ratio; default ±10 and [.1, 20]. */
  ratio?: DensityRatioOptions;
  /** Normalisation by noise bin; false for none. Default the official one. */
  normaliser?: RatioNormaliserOptions | false;
  /** λ of softplus(−logit) in the generator's loss; default .001 with a discriminator, FastGen's for CIFAR-10. */
  adversarialWeight?: number;
  /** λ of distribution matching; 0 leaves the adversarial term alone. Default 1. */
  matchingWeight?: number;
  /** λ of the discriminator's loss beside the fake denoiser's; default 1. */
  discriminatorWeight?: number;
  gradientPenalty?: GradientPenaltyOptions;
  /** Levels at which distributions are matched and discriminated; default karrasUniformNoise(). */
  noise?: NoiseDistribution;
  /** Levels at which the fake denoiser learns; default the same, as in the official code. */
  fakeNoise?: NoiseDistribution;
  /** `edm`, the default, weighs the fake denoiser's squared error by (σ² + σ_d²)/(σσ_d)²; `clean` does not, as FastGen has it for Stable Diffusion. */
  fakeLoss?: "edm" | "clean";
  sigmaData?: number;
  schedule?: UpdateScheduleOptions;
  /** See distributionMatching. */
  balance?: boolean;
  scale?: "mean-absolute" | "score";
  optimizers?: { generator?: LearnerOptions; fake?: LearnerOptions; discriminator?: LearnerOptions };
  /** Of the generator. */
  ema?: EmaOptions;
  /** Consecutive steps without a finite gradient after which DivergedError is thrown; default 20. */
  patience?: number;
}

/** One iteration; a number that its phase does not compute is absent. */
export interface DistilRow {
  /** Counted from 0. */
  iteration: number;
  phase: "generator" | "critic" | "both";
  /** Weighted sum of the two below. */
  generatorLoss?: number;
  matchingLoss?: number;
  adversarialLoss?: number;
  fakeLoss?: number;
  discriminatorLoss?: number;
  gradientPenalty?: number;
  /** Share of noised examples, real and generated, that the discriminator tells right. */
  discriminatorAccuracy?: number;
  /** Var(h)/mean(h)². */
  weightVariance?: number;
  /** (Σh)²/Σh² over the batch. */
  effectiveSamples?: number;
  meanRatio?: number;
  /** Shares of the batch. */
  clampedLogits?: number;
  clampedRatios?: number;
  saturatedWeights?: number;
  /** Of the generator's output, to see a collapse. */
  outputMean?: number;
  outputDeviation?: number;
  generatorGradientNorm?: number;
  fakeGradientNorm?: number;
  discriminatorGradientNorm?: number;
  /** Steps so far that were left out because their gradient was not finite. */
  skipped: number;
}

/** A distillation under way: iterate to advance it; between rows its state can be saved. */
export interface Distillation extends AsyncIterable<DistilRow> {
  readonly iteration: number;
  readonly ema: Ema | undefined;
  /** Nets, optimisers, EMA, ratio bins and counters. */
  save(): Promise<Snapshot>;
  /** Goes on from there, exactly; refuses a snapshot of another seed or other nets. */
  load(snapshot: Snapshot): void;
  /** Frees optimisers, EMA and bins; the nets are the caller's. */
  dispose(): void;
}

const positiveInteger = (value: number): boolean => Number.isSafeInteger(value) && value > 0;

/** @throws InadmissibleWeightError, RangeError on options that mean nothing together */
export function checkDistilOptions(options: DistilOptions): void {
  const { divergence = reverseKl, discriminator, exactLogRatio, data, matchingWeight = 1 } = options;
  for (const [name, value] of Object.entries({ steps: options.steps, batchSize: options.batchSize ?? 64 }))
    if (!positiveInteger(value))
      throw new RangeError(`distil: ${name} is ${value}, expected a positive integer.`);
  const { batchSize = 64, microBatch = batchSize, fakeLoss = "edm" } = options;
  if (!positiveInteger(microBatch) || batchSize % microBatch !== 0)
    throw new RangeError(
      `distil: microBatch is ${microBatch}, expected a divisor of the batch size ${batchSize}.`,
    );
  if (fakeLoss !== "edm" && fakeLoss !== "clean")
    throw new RangeError(`distil: there is no fakeLoss "${fakeLoss}"; there are edm and clean.`);
  for (const name of ["adversarialWeight", "matchingWeight", "discriminatorWeight"] as const) {
    const value = options[name] ?? 1;
    if (!(value >= 0 && value < Number.POSITIVE_INFINITY))
      throw new RangeError(`distil: ${name} is ${value}.`);
  }
  checkWeightAdmissible(divergence);
  if (discriminator && !data)
    throw new RangeError("distil: a discriminator needs data, real examples to tell apart.");
  if (data && options.conditions)
    throw new RangeError("distil: conditions come with the data; give one of the two.");
  if (!discriminator && !exactLogRatio && divergence.name !== "reverse-kl" && matchingWeight > 0)
    throw new RangeError(
      `distil: ${divergence.name} weighs by the density ratio; give a discriminator, or exactLogRatio where it is known.`,
    );
  const only = {
    adversarialWeight: "adversarial term",
    discriminatorWeight: "discriminator's loss",
    gradientPenalty: "gradient penalty",
  };
  for (const [name, what] of Object.entries(only))
    if (!discriminator && options[name as keyof typeof only] !== undefined)
      throw new RangeError(`distil: ${name} is given, but without a discriminator there is no ${what}.`);
  if ((!discriminator || exactLogRatio) && (options.ratio || options.normaliser))
    throw new RangeError(
      "distil: ratio and normaliser are for a discriminator's ratios; an exact or absent one has no use for them.",
    );
  if (matchingWeight === 0 && !((options.adversarialWeight ?? 0.001) > 0 && discriminator))
    throw new RangeError("distil: with matchingWeight 0 and no adversarial term the generator has no loss.");
}
