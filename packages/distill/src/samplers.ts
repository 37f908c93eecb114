import { type Random, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Denoiser } from "./denoiser.ts";

const kinds = ["heun", "euler", "ancestral"] as const;
/** Heun's second-order and Euler's first-order solver of the probability flow, or ancestral sampling, which adds noise anew each step. */
export type SamplerKind = (typeof kinds)[number];

export interface SamplingProgress {
  /** Steps done, from 1. */
  step: number;
  steps: number;
  /** The level just reached. */
  sigma: number;
  /** The samples so far and D of the step before, for previews; both are freed after the call. */
  x: tf.Tensor;
  denoised: tf.Tensor;
}

export interface SampleOptions {
  /** Falling noise levels, the last one usually 0: see karrasGrid. */
  sigmas: readonly number[];
  /** Default heun. */
  sampler?: SamplerKind;
  /** For the starting noise and ancestral sampling; default 0. */
  seed?: number | string | Random;
  /** [batch, ...], given to every call of the denoiser. */
  condition?: tf.Tensor;
  /** Starts here instead of at σ₀·z. */
  start?: tf.Tensor;
  /** Called after each step; may return a promise to be waited for. */
  onStep?: (progress: SamplingProgress) => void | Promise<void>;
}

function checkSigmas(sigmas: readonly number[]): void {
  if (sigmas.length < 2) throw new RangeError("sample: sigmas needs two levels or more.");
  sigmas.forEach((sigma, i) => {
    const before = i === 0 ? Number.POSITIVE_INFINITY : sigmas[i - 1]!;
    if (!(sigma >= 0 && sigma < before))
      throw new RangeError(
        `sample: sigmas must fall and not be negative; level ${i} is ${sigma} after ${before}.`,
      );
  });
}

/** How one step from σ to the next is taken. */
interface Move {
  denoise: (x: tf.Tensor, sigma: number) => tf.Tensor;
  noise: (shape: number[]) => tf.Tensor;
  from: number;
  to: number;
}

/** x + (σ' − σ)·(x − D)/σ */
const towards = (x: tf.Tensor, slope: tf.Tensor, change: number): tf.Tensor =>
  tf.add(x, tf.mul(change, slope));
const slopeAt = (x: tf.Tensor, denoised: tf.Tensor, sigma: number): tf.Tensor =>
  tf.div(tf.sub(x, denoised), sigma);

const steppers: Record<SamplerKind, (x: tf.Tensor, move: Move) => [next: tf.Tensor, denoised: tf.Tensor]> = {
  euler(x, { denoise, from, to }) {
    const denoised = denoise(x, from);
    return [towards(x, slopeAt(x, denoised, from), to - from), denoised];
  },
  heun(x, { denoise, from, to }) {
    const denoised = denoise(x, from);
    const slope = slopeAt(x, denoised, from);
    const euler = towards(x, slope, to - from);
    if (to === 0) return [euler, denoised];
    const corrected = slopeAt(euler, denoise(euler, to), to);
    return [towards(x, tf.mul(0.5, tf.add(slope, corrected)), to - from), denoised];
  },
  ancestral(x, { denoise, noise, from, to }) {
    const denoised = denoise(x, from);
    const up = Math.sqrt((to ** 2 * (from ** 2 - to ** 2)) / from ** 2);
    const down = Math.sqrt(to ** 2 - up ** 2);
    const next = towards(x, slopeAt(x, denoised, from), down - from);
    return [up > 0 ? tf.add(next, tf.mul(up, noise(x.shape))) : next, denoised];
  },
};

/**
 * Samples of a diffusion model, from σ₀·z down a grid of noise levels: Heun and Euler solve dx/dσ = (x − D(x; σ))/σ (Karras et al. 2022,
 * https://arxiv.org/abs/2206.00364, algorithm 1), ancestral sampling goes to σ_down and adds noise back (Song et al. 2021, discretised).
 *
 * @param shape [batch, ...]
 * @returns in that shape; the caller disposes of it
 * @throws RangeError when the levels do not fall, or on an unknown sampler
 */
export async function sample(
  denoiser: Denoiser,
  shape: number[],
  options: SampleOptions,
): Promise<tf.Tensor> {
  const { sigmas, sampler = "heun", seed = 0, condition, start, onStep } = options;
  checkSigmas(sigmas);
  if (!kinds.includes(sampler))
    throw new RangeError(`sample: there is no sampler "${sampler}"; there are ${kinds.join(", ")}.`);
  if (start) tf.util.assertShapesMatch(start.shape, shape, "sample: start ");
  const source = typeof seed === "object" ? seed : random(seed);
  const noise = (size: number[]): tf.Tensor => tf.tensor(source.normal(tf.util.sizeFromShape(size)), size);
  const levels = (sigma: number): tf.Tensor1D => tf.fill([shape[0]!], sigma);
  const denoise = (x: tf.Tensor, sigma: number) => denoiser.denoise(x, levels(sigma), condition);
  let x = tf.tidy(() => (start ? tf.clone(start) : tf.mul(sigmas[0]!, noise(shape))));
  for (let i = 1; i < sigmas.length; i++) {
    const move = { denoise, noise, from: sigmas[i - 1]!, to: sigmas[i]! };
    const [next, denoised] = tf.tidy(() => steppers[sampler](x, move));
    x.dispose();
    x = next;
    try {
      await onStep?.({ step: i, steps: sigmas.length - 1, sigma: sigmas[i]!, x, denoised });
    } catch (error) {
      x.dispose();
      throw error;
    } finally {
      denoised.dispose();
    }
  }
  return x;
}

/**
 * The one-step generator that a denoiser is at the highest noise level, G(z) = D(σ_max·z; σ_max), as students start (f-distill,
 * https://arxiv.org/abs/2502.15681).
 */
export function oneStepGenerator<P extends ReadonlyMap<string, tf.Variable>>(
  denoiser: Denoiser & { readonly parameters: P },
  { sigmaMax = 80 } = {},
): { parameters: P; generate(z: tf.Tensor, condition?: tf.Tensor): tf.Tensor } {
  if (!(sigmaMax > 0 && sigmaMax < Number.POSITIVE_INFINITY))
    throw new RangeError(`oneStepGenerator: sigmaMax is ${sigmaMax}, expected a positive number.`);
  return {
    parameters: denoiser.parameters,
    generate: (z, condition) =>
      denoiser.denoise(tf.mul(sigmaMax, z), tf.fill([z.shape[0]!], sigmaMax) as tf.Tensor1D, condition),
  };
}
