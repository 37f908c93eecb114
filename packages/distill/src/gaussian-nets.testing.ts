import { jensenShannon } from "@fdiv/divergences";
import { linear, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { type DistilOptions, distil, gaussian, logUniformNoise } from "./index.ts";

export const scalars = (values: Record<string, number>) =>
  new Map(Object.entries(values).map(([name, value]) => [name, tf.variable(tf.scalar(value))]));
export const read = (parameters: ReadonlyMap<string, tf.Tensor>) =>
  [...parameters.values()].flatMap((x) => Array.from(x.dataSync()));

/** G(z) = mean + e^{size}·z, and a fake denoiser that is a Gaussian's with a mean and log-variance of its own. */
export function gaussianNets() {
  const student = scalars({ mean: 2, size: -1 });
  const own = scalars({ mean: 2, logVariance: -2 });
  return {
    generator: {
      parameters: student,
      generate: (z: tf.Tensor) => tf.add(student.get("mean")!, tf.mul(tf.exp(student.get("size")!), z)),
    },
    fake: {
      parameters: own,
      denoise(x: tf.Tensor, sigma: tf.Tensor1D) {
        const variance = tf.exp(own.get("logVariance")!);
        const noise = tf.reshape(tf.square(sigma), [-1, 1]);
        const sum = tf.add(tf.mul(noise, own.get("mean")!), tf.mul(variance, x));
        return tf.div(sum, tf.add(variance, noise));
      },
    },
  };
}

/** A small net for the discriminator, on (x, ln σ). */
export function discriminatorNet(seed: number, width = 16) {
  const source = random(seed);
  const variable = (rows: number, columns: number) =>
    tf.variable(
      tf.tensor2d(
        source
          .fork(`${rows} ${columns}`)
          .normal(rows * columns)
          .map((x) => x / Math.sqrt(columns)),
        [rows, columns],
      ),
    );
  const parameters = new Map([
    ["first", variable(width, 3)],
    ["second", variable(2, width)],
  ]);
  return {
    parameters,
    logits(x: tf.Tensor, sigma: tf.Tensor1D) {
      const level = tf.reshape(tf.log(sigma), [-1, 1]);
      const input = tf.concat([x, level, tf.onesLike(level)], 1);
      return linear(
        linear(input, parameters.get("first")!, { activation: "silu" }),
        parameters.get("second")!,
      ) as tf.Tensor2D;
    },
  };
}

export const teacher = gaussian([0.5], 0.64);
export const data: DistilOptions["data"] = (stream, count) => ({
  x: tf.tensor2d(
    stream.normal(count).map((z) => 0.5 + 0.8 * z),
    [count, 1],
  ),
});

export function learnedRun(steps: number, extra: Partial<DistilOptions> = {}) {
  const nets = { ...gaussianNets(), discriminator: discriminatorNet(1) };
  const run = distil({
    teacher,
    ...nets,
    divergence: jensenShannon,
    data,
    latentShape: [1],
    steps,
    batchSize: 64,
    noise: logUniformNoise({ min: 0.1, max: 2 }),
    normaliser: { scale: "log", range: [0.1, 2] },
    ema: { kind: "power", width: 0.1 },
    optimizers: {
      generator: { learningRate: 0.02 },
      fake: { learningRate: 0.02 },
      discriminator: { learningRate: 0.005 },
    },
    ...extra,
  });
  return { ...nets, run };
}
