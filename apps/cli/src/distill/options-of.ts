import {
  type EmaOptions,
  karrasUniformNoise,
  type LearnerOptions,
  logNormalNoise,
  logUniformNoise,
  type NoiseDistribution,
  type RatioNormaliserOptions,
  scheduleUniformNoise,
  stepOfLevel,
} from "@fdiv/distill";
import { schedule } from "@fdiv/trainer";
import { ConfigError } from "../config/config-file.ts";
import type { DistillConfig, EmaConfig, NoiseConfig, OptimizerConfig } from "./distill-schema.ts";

/** @throws ConfigError where a teacher has no discrete schedule */
function scheduleOf(levels: readonly number[] | undefined, what: string): readonly number[] {
  if (levels) return levels;
  throw new ConfigError(
    `${what} is of a teacher with a discrete schedule, as DDPM and Stable Diffusion have it; this one's noise levels are continuous.`,
  );
}

/**
 * A configuration's law of noise levels; bounds that are absent are those of the teacher.
 *
 * @param levels of the teacher's discrete schedule, where it has one
 */
export function noiseOf(
  { kind, min, max, rho, mean, deviation, steps }: NoiseConfig,
  range: readonly [min: number, max: number],
  levels?: readonly number[],
): NoiseDistribution {
  if (kind === "log-normal")
    return logNormalNoise({
      ...(mean !== undefined && { mean }),
      ...(deviation !== undefined && { deviation }),
    });
  if (kind === "schedule-uniform")
    return scheduleUniformNoise(
      scheduleOf(levels, "noise.kind: schedule-uniform"),
      steps && { from: steps[0], to: steps[1] },
    );
  const bounds = { min: min ?? range[0], max: max ?? range[1] };
  return kind === "log-uniform"
    ? logUniformNoise(bounds)
    : karrasUniformNoise({ ...bounds, ...(rho !== undefined && { rho }) });
}

/** A configuration's bins of ratios, over the noise levels that are matched where it does not say. */
export function normaliserOf(
  { bins, scale, decay, range: own }: Exclude<NonNullable<DistillConfig["ratio"]["normaliser"]>, false>,
  noise: NoiseConfig | undefined,
  range: readonly [min: number, max: number],
  levels: readonly number[] | undefined,
): RatioNormaliserOptions {
  const steps = scale === "schedule" && scheduleOf(levels, "ratio.normaliser.scale: schedule");
  return {
    bins,
    scale: scale === "schedule" ? (sigma) => stepOfLevel(steps as readonly number[], sigma) : scale,
    decay,
    range: own ?? ([noise?.min ?? range[0], noise?.max ?? range[1]] as const),
  };
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
