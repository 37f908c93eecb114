import { type Denoiser, karrasGrid, oneStepGenerator, sample } from "@fdiv/distill";
import { random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { DistillData, Examples } from "./distill-data.ts";
import type { Heard } from "./measuring.ts";
import type { Net } from "./nets.ts";

export interface Wanted {
  count: number;
  seed: string;
  /** The classes or captions to make, of conditional models. */
  conditions: Int32Array | undefined;
  /** Told of what is drawn so far. */
  heard?: Heard;
}

/** Runs a maker of batches until there are as many examples as wanted. */
async function inBatches(
  data: DistillData,
  { count, seed, conditions, heard }: Wanted,
  make: (
    z: tf.Tensor,
    condition: tf.Tensor | undefined,
    partly: (share: number) => Promise<void> | undefined,
  ) => Promise<tf.Tensor> | tf.Tensor,
): Promise<Examples> {
  const { shape, piece } = data;
  const size = shape.reduce((product, n) => product * n, 1);
  const values = new Float32Array(count * size);
  const latent = random(seed).fork("latent");
  for (let from = 0; from < count; from += piece) {
    const rows = Math.min(piece, count - from);
    const z = tf.tensor(latent.fork(from).normal(rows * size), [rows, ...shape]);
    const condition = conditions && data.condition(conditions.subarray(from, from + rows));
    try {
      const made = await make(z, condition, (share) => heard?.((from + share * rows) / count));
      values.set(await made.data(), from * size);
      made.dispose();
    } finally {
      tf.dispose(condition ? [z, condition] : [z]);
    }
    await heard?.((from + rows) / count);
  }
  return { values, count, labels: conditions };
}

/** Samples of a one-step generator that starts at a noise level. */
export function drawStudent(
  net: Net,
  sigmaMax: number,
  data: DistillData,
  wanted: Wanted,
): Promise<Examples> {
  const generator = oneStepGenerator(net, { sigmaMax });
  return inBatches(data, wanted, (z, condition) => tf.tidy(() => generator.generate(z, condition)));
}

/** Samples of a teacher by Heun's method from the same noise. */
export function drawTeacher(
  teacher: Denoiser,
  range: readonly [min: number, max: number],
  steps: number,
  data: DistillData,
  wanted: Wanted,
): Promise<Examples> {
  const sigmas = karrasGrid(steps, { min: range[0], max: range[1] });
  return inBatches(data, wanted, async (z, condition, partly) => {
    const start = tf.mul(sigmas[0]!, z);
    try {
      return await sample(teacher, z.shape, {
        sigmas,
        start,
        ...(condition && { condition }),
        onStep: ({ step }) => partly(step / steps),
      });
    } finally {
      start.dispose();
    }
  });
}
