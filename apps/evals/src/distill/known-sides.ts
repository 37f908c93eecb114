import {
  distributionMatching,
  type GaussianMixture,
  type Matching,
  type MatchingInputs,
} from "@fdiv/distill";
import type { Divergence } from "@fdiv/divergences";
import * as tf from "@tensorflow/tfjs-core";

/** A teacher and a student whose densities and scores are known. */
export interface Sides {
  teacher: GaussianMixture;
  student: GaussianMixture;
}

/** How a ratio is told at noised examples: as logits, which the loss clamps, or as the logarithm itself. */
export type Ratio = (noised: tf.Tensor, levels: tf.Tensor1D) => Pick<MatchingInputs, "logits" | "logRatio">;

/** The ratio of the densities. */
export const exactRatio =
  ({ teacher, student }: Sides): Ratio =>
  (noised, levels) => ({
    logRatio: tf.sub(teacher.logDensity(noised, levels), student.logDensity(noised, levels)) as tf.Tensor1D,
  });

/** Distribution matching of the student's examples G(z) [batch, d] with standard normal noise of level σ, scores exact: the gradient of D_f itself. */
export function matchKnown(
  { teacher, student }: Sides,
  { generated, noise, sigma }: { generated: tf.Tensor; noise: tf.Tensor; sigma: number },
  divergence: Divergence,
  ratio: Ratio,
): Matching {
  const noised = tf.add(generated, tf.mul(sigma, noise));
  const sigmas = new Float32Array(generated.shape[0]!).fill(sigma);
  const levels = tf.tensor1d(sigmas);
  const inputs = {
    generated,
    sigmas,
    teacherDenoised: teacher.denoise(noised, levels),
    fakeDenoised: student.denoise(noised, levels),
    ...ratio(noised, levels),
  };
  return distributionMatching(inputs, { divergence, scale: "score", balance: false });
}
