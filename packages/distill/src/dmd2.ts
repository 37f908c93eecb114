import { reverseKl } from "@fdiv/divergences";
import { distil } from "./distil.ts";
import type { Distillation, DistilOptions } from "./distil-options.ts";

/**
 * Improved distribution matching distillation (DMD2, https://arxiv.org/abs/2405.14867): `distil` under reverse KL, whose weight is 1, with the fake denoiser and the discriminator
 * trained in every iteration. The paper's discriminator reads the fake denoiser's features.
 *
 * @throws as distil does
 */
export function dmd2(options: Omit<DistilOptions, "divergence" | "ratio" | "normaliser">): Distillation {
  return distil({
    ...options,
    divergence: reverseKl,
    normaliser: false,
    schedule: { criticMeanwhile: "train", ...options.schedule },
  });
}
