import "@tensorflow/tfjs";
import { adamW, crossEntropy, random, valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it } from "vitest";
import { createImageClassifier } from "./image-classifier.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** Bright left or right halves, with noise. */
function halves(count: number, seed: number): { x: tf.Tensor; labels: tf.Tensor1D } {
  const noise = random(seed).normal(count * 36);
  const values = noise.map((z, i) => {
    const [image, column] = [Math.floor(i / 36), i % 6];
    return (column < 3 === (image % 2 === 0) ? 0.6 : -0.6) + 0.5 * z;
  });
  return {
    x: tf.tensor(values, [count, 6, 6, 1]),
    labels: tf.tensor1d(
      Array.from({ length: count }, (_, i) => i % 2),
      "int32",
    ),
  };
}

it("learns to tell classes apart on images that it has not seen", () => {
  const model = createImageClassifier({ classes: 2, blockChannels: [8, 8], features: 6, seed: 1 });
  const optimizer = adamW({ learningRate: 0.01 });
  const right = () => {
    const { x, labels } = halves(60, 99);
    const found = tf.argMax(model.logits(x), 1).dataSync();
    return labels.dataSync().filter((label, i) => label === found[i]).length / 60;
  };
  for (let step = 0; step < 25; step++) {
    const { x, labels } = halves(16, step);
    const { value, gradients } = valueAndGradients(
      () => tf.mean(crossEntropy(model.logits(x), labels)) as tf.Scalar,
      model.parameters,
    );
    expect(gradients.size).toBe(model.parameters.size);
    optimizer.step(model.parameters, gradients);
    tf.dispose([value, x, labels, ...gradients.values()]);
  }
  expect(right()).toBeGreaterThan(0.95);
  expect(model.features(halves(3, 1).x).shape).toEqual([3, 6]);
});

it("refuses sizes that mean nothing", () => {
  expect(() => createImageClassifier({ classes: 1 })).toThrow(/1 classes/);
  expect(() => createImageClassifier({ classes: 2, blockChannels: [12] })).toThrow(/multiples of 8/);
});
