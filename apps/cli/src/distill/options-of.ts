import {
  type EmaOptions,
  karrasUniformNoise,
  type LearnerOptions,
  logNormalNoise,
  logUniformNoise,
  type NoiseDistribution,
} from "@fdiv/distill";
import { schedule } from "@fdiv/trainer";
import type { EmaConfig, NoiseConfig, OptimizerConfig } from "./distill-schema.ts";

/** A configuration's law of noise levels; bounds that are absent are those of the teacher. */
export function noiseOf(
  { kind, min, max, rho, mean, deviation }: NoiseConfig,
  range: readonly [min: number, max: number],
): NoiseDistribution {
  if (kind === "log-normal")
    return logNormalNoise({
      ...(mean !== undefined && { mean }),
      ...(deviation !== undefined && { deviation }),
    });
  const bounds = { min: min ?? range[0], max: max ?? range[1] };
  return kind === "log-uniform"
    ? logUniformNoise(bounds)
    : karrasUniformNoise({ ...bounds, ...(rho !== undefined && { rho }) });
}

/** A configuration's optimiser for a run of so many iterations. */
export function learnerOf(config: OptimizerConfig, steps: number): LearnerOptions {
  const { learningRate, beta1, beta2, weightDecay, gradientClip, schedule: kind, warmup } = config;
  return {
    learningRate,
    beta1,
    beta2,
    weightDecay,
    clip: gradientClip,
    schedule: schedule({ kind, steps, warmup }),
  };
}

export const emaOf = (config: EmaConfig): { ema?: EmaOptions } => (config === false ? {} : { ema: config });
