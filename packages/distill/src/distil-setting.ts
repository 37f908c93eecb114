import { type Divergence, reverseKl } from "@fdiv/divergences";
import type { DistilOptions } from "./distil-options.ts";
import { karrasUniformNoise, type NoiseDistribution } from "./noise-distribution.ts";
import { type RatioNormaliser, ratioNormaliser } from "./ratio-normaliser.ts";

/** A distillation's options with their defaults in place. */
export interface DistilSetting extends Omit<DistilOptions, "normaliser"> {
  divergence: Divergence;
  batchSize: number;
  microBatch: number;
  seed: number | string;
  patience: number;
  matchingWeight: number;
  discriminatorWeight: number;
  adversarialWeight: number;
  noise: NoiseDistribution;
  fakeNoise: NoiseDistribution;
  /** Made here; to be disposed of. */
  normaliser: RatioNormaliser | undefined;
}

export function distilSetting(options: DistilOptions): DistilSetting {
  const { discriminator, exactLogRatio, noise = karrasUniformNoise(), batchSize = 64 } = options;
  const normalises = discriminator && !exactLogRatio && options.normaliser !== false;
  return {
    ...options,
    divergence: options.divergence ?? reverseKl,
    batchSize,
    microBatch: options.microBatch ?? batchSize,
    seed: options.seed ?? 0,
    patience: options.patience ?? 20,
    matchingWeight: options.matchingWeight ?? 1,
    discriminatorWeight: options.discriminatorWeight ?? 1,
    adversarialWeight: options.adversarialWeight ?? (discriminator ? 0.001 : 0),
    noise,
    fakeNoise: options.fakeNoise ?? noise,
    normaliser: normalises ? ratioNormaliser(options.normaliser || {}) : undefined,
  };
}
