import { distributionMatching, gaussian } from "@fdiv/distill";
import { divergence } from "@fdiv/divergences";
import { random, valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

const batch = 256;
const repeats = 200;

/**
 * Deviation of a batch's gradient over its mean, for a student N(μ, 1) of a teacher N(0, 1) whose ratio and scores are exact: the noise that a divergence's weight brings in.
 *
 * @returns √Var(∂L/∂μ)/|E ∂L/∂μ| with a batch of 256
 */
export function relativeGradientDeviation(name: string, mean: number): number {
  const [teacher, own] = [gaussian([0], 1), gaussian([mean], 1)];
  const source = random(`gradient of ${name}`);
  const parameter = tf.variable(tf.scalar(mean));
  const sigma = 0.1;
  const sigmas = new Float32Array(batch).fill(sigma);
  const found: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const stream = source.fork(i);
    const draw = (label: string) => stream.fork(label).normal(batch);
    const { value, gradients } = valueAndGradients(
      () => {
        const generated = tf.add(parameter, tf.tensor2d(draw("z"), [batch, 1]));
        const noised = tf.add(generated, tf.mul(sigma, tf.tensor2d(draw("noise"), [batch, 1])));
        const levels = tf.tensor1d(sigmas);
        const { loss, metrics, gradient, weights } = distributionMatching(
          {
            generated,
            sigmas,
            teacherDenoised: teacher.denoise(noised, levels),
            fakeDenoised: own.denoise(noised, levels),
            logRatio: tf.sub(
              teacher.logDensity(noised, levels),
              own.logDensity(noised, levels),
            ) as tf.Tensor1D,
          },
          { divergence: divergence(name), scale: "score", balance: false },
        );
        kept.push(gradient, weights, ...Object.values(metrics));
        return tf.mean(loss) as tf.Scalar;
      },
      new Map([["mean", parameter]]),
    );
    found.push(gradients.get("mean")!.dataSync()[0]!);
    tf.dispose([value, ...gradients.values(), ...kept.splice(0)]);
  }
  parameter.dispose();
  const average = found.reduce((a, b) => a + b, 0) / repeats;
  const variance = found.reduce((sum, g) => sum + (g - average) ** 2, 0) / (repeats - 1);
  return Math.sqrt(variance) / Math.abs(average);
}
const kept: tf.Tensor[] = [];

/** A Markdown table over divergences, at two distances of student and teacher. */
export function gradientVarianceTable(divergences: readonly string[]): string {
  const means = [1, 2];
  return [
    `| deviation of a batch's gradient over its mean, batch ${batch} | ${means.map((mean) => `μ = ${mean}`).join(" | ")} |`,
    `|${"---|".repeat(means.length + 1)}`,
    ...divergences.map(
      (name) =>
        `| ${name} | ${means.map((mean) => relativeGradientDeviation(name, mean).toPrecision(3)).join(" | ")} |`,
    ),
  ].join("\n");
}
