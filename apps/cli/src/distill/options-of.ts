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

/** The noise levels that a teacher knows. */
export interface TeacherLevels {
  readonly range: readonly [min: number, max: number];
  /** Of its discrete schedule, where it has one. */
  readonly levels?: readonly number[] | undefined;
}

/** @throws ConfigError where a noise level is beyond those that the teacher knows */
export function checkLevel(
  value: number | undefined,
  { range: [min, max] }: TeacherLevels,
  what: string,
): void {
  // Levels of a schedule are rounded where they are written down.
  if (value === undefined || (value >= min * (1 - 1e-4) && value <= max * (1 + 1e-4))) return;
  throw new ConfigError(
    `${what}: ${value} is beyond the teacher's noise levels, ${Number(min.toPrecision(5))} to ${Number(max.toPrecision(5))}.`,
  );
}

/**
 * A configuration's law of noise levels.
 *
 * @param key what it is called in the configuration
 * @param most the highest level where none is given
 * @throws ConfigError where a level is beyond the teacher's
 */
export function noiseOf(
  { kind, min, max, rho, mean, deviation, steps }: NoiseConfig,
  key: string,
  known: TeacherLevels,
  most = known.range[1],
): NoiseDistribution {
  if (kind === "log-normal")
    return logNormalNoise({
      ...(mean !== undefined && { mean }),
      ...(deviation !== undefined && { deviation }),
    });
  if (kind === "schedule-uniform")
    return scheduleUniformNoise(
      scheduleOf(known.levels, `${key}.kind: schedule-uniform`),
      steps && { from: steps[0], to: steps[1] },
    );
  checkLevel(min, known, `${key}.min`);
  checkLevel(max, known, `${key}.max`);
  const bounds = { min: min ?? known.range[0], max: max ?? most };
  if (bounds.min >= bounds.max)
    throw new ConfigError(
      `${key}: levels from ${bounds.min} to ${bounds.max} are none; min must be below max.`,
    );
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
