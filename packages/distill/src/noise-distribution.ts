import type { Random } from "@fdiv/tensor-core";
import { checkLevels, levelOfStep } from "./schedule-steps.ts";

/** A law of noise levels to train at. */
export interface NoiseDistribution {
  readonly name: string;
  /** `count` independent noise levels. */
  draw(random: Random, count: number): Float32Array;
}

function checkRange(what: string, min: number, max: number): void {
  if (!(min > 0 && max > min && max < Number.POSITIVE_INFINITY))
    throw new RangeError(`${what}: the range is [${min}, ${max}], expected 0 < min < max.`);
}

/** ln σ ~ N(mean, deviation²); EDM trains teachers at (−1.2, 1.2) (Karras et al. 2022, https://arxiv.org/abs/2206.00364). */
export function logNormalNoise({ mean = -1.2, deviation = 1.2 } = {}): NoiseDistribution {
  if (!(Number.isFinite(mean) && deviation > 0 && deviation < Number.POSITIVE_INFINITY))
    throw new RangeError(`logNormalNoise: N(${mean}, ${deviation}²) is no normal law.`);
  return {
    name: "log-normal",
    draw: (random, count) => random.normal(count).map((z) => Math.exp(mean + deviation * z)),
  };
}

/** σ = (max^{1/ρ} + u·(min^{1/ρ} − max^{1/ρ}))^ρ with u uniform: a uniform draw from Karras' grid. */
export function karrasUniformNoise({ min = 0.002, max = 80, rho = 7 } = {}): NoiseDistribution {
  checkRange("karrasUniformNoise", min, max);
  if (!(rho > 0)) throw new RangeError(`karrasUniformNoise: rho is ${rho}, expected a positive number.`);
  const [top, bottom] = [max ** (1 / rho), min ** (1 / rho)];
  return {
    name: "karras-uniform",
    draw: (random, count) => random.uniform(count).map((u) => (top + u * (bottom - top)) ** rho),
  };
}

/** ln σ uniform between ln min and ln max. */
export function logUniformNoise({ min = 0.002, max = 80 } = {}): NoiseDistribution {
  checkRange("logUniformNoise", min, max);
  const [low, high] = [Math.log(min), Math.log(max)];
  return {
    name: "log-uniform",
    draw: (random, count) => random.uniform(count).map((u) => Math.exp(low + u * (high - low))),
  };
}

/**
 * The level of a step drawn uniformly from a discrete schedule, such as Stable Diffusion's, between its steps too (f-distill's law for it).
 *
 * @param levels σ of each step, rising
 * @param options.from the first step, from 0
 * @param options.to the last one
 */
export function scheduleUniformNoise(
  levels: ArrayLike<number>,
  { from = 0, to = levels.length - 1 } = {},
): NoiseDistribution {
  checkLevels("scheduleUniformNoise", levels);
  if (!(from >= 0 && to > from && to <= levels.length - 1))
    throw new RangeError(
      `scheduleUniformNoise: steps ${from} to ${to} are not within a schedule from 0 to ${levels.length - 1}.`,
    );
  return {
    name: "schedule-uniform",
    draw: (random, count) => random.uniform(count).map((u) => levelOfStep(levels, from + u * (to - from))),
  };
}

/** One noise level alone, for tests and analyses at a fixed σ. */
export function fixedNoise(sigma: number): NoiseDistribution {
  if (!(sigma > 0 && sigma < Number.POSITIVE_INFINITY))
    throw new RangeError(`fixedNoise: σ is ${sigma}, expected a positive number.`);
  return { name: "fixed", draw: (_, count) => new Float32Array(count).fill(sigma) };
}
