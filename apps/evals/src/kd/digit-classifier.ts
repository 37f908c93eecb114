import { adamW, linear, type Random, random, valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

/** Images as rows of numbers, [count, width] in [−1, 1], and what they show. */
export interface LabelledRows {
  rows: Float32Array;
  labels: Int32Array;
  width: number;
}

export type Parameters = Map<string, tf.Variable>;
export const classes = 10;

/** A perceptron of one hidden layer, normal weights of deviation √(2/fan-in). */
export function newClassifier(width: number, hidden: number, seed: string): Parameters {
  const source = random(seed);
  const layer = (name: string, out: number, from: number): [string, tf.Variable][] => [
    [
      `${name}.weight`,
      tf.variable(
        tf.tensor2d(
          source
            .fork(name)
            .normal(out * from)
            .map((z) => z * Math.sqrt(2 / from)),
          [out, from],
        ),
      ),
    ],
    [`${name}.bias`, tf.variable(tf.zeros([out]))],
  ];
  return new Map([...layer("hidden", hidden, width), ...layer("out", classes, hidden)]);
}

/** [batch, classes] */
export function logitsOf(parameters: ReadonlyMap<string, tf.Tensor>, x: tf.Tensor2D): tf.Tensor2D {
  const at = (name: string) => parameters.get(name)!;
  const hidden = linear(x, at("hidden.weight"), { bias: at("hidden.bias"), activation: "gelu" });
  return linear(hidden, at("out.weight"), { bias: at("out.bias") }) as tf.Tensor2D;
}

/** A batch's rows as a tensor, and its labels. */
export function batchOf(
  { rows, labels, width }: LabelledRows,
  chosen: Int32Array,
): { x: tf.Tensor2D; labels: tf.Tensor1D } {
  const some = new Float32Array(chosen.length * width);
  chosen.forEach((from, to) => {
    some.set(rows.subarray(from * width, (from + 1) * width), to * width);
  });
  return {
    x: tf.tensor2d(some, [chosen.length, width]),
    labels: tf.tensor1d(
      chosen.map((i) => labels[i]!),
      "int32",
    ),
  };
}

export interface ClassifierTraining {
  epochs: number;
  batchSize: number;
  learningRate: number;
  random: Random;
}

/** Trains in place by AdamW, the rate falling linearly to nothing; whole batches alone, in a new order each epoch. */
export function trainClassifier(
  parameters: Parameters,
  data: LabelledRows,
  loss: (logits: tf.Tensor2D, batch: { x: tf.Tensor2D; labels: tf.Tensor1D }) => tf.Scalar,
  { epochs, batchSize, learningRate, random: draws }: ClassifierTraining,
): void {
  const optimizer = adamW();
  const perEpoch = Math.floor(data.labels.length / batchSize);
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = draws.fork(epoch).permutation(data.labels.length);
    for (let i = 0; i < perEpoch; i++) {
      const batch = batchOf(data, order.slice(i * batchSize, (i + 1) * batchSize));
      const { value, gradients } = valueAndGradients(
        () => loss(logitsOf(parameters, batch.x), batch),
        parameters,
      );
      const done = (epoch * perEpoch + i) / (epochs * perEpoch);
      optimizer.step(parameters, gradients, { learningRate: learningRate * (1 - done) });
      tf.dispose([value, batch.x, batch.labels, ...gradients.values()]);
    }
  }
  optimizer.dispose();
}
