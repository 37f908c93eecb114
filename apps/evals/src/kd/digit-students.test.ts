import "@tensorflow/tfjs";
import { crossEntropy, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it } from "vitest";
import {
  batchOf,
  classes,
  type LabelledRows,
  logitsOf,
  newClassifier,
  trainClassifier,
} from "./digit-classifier.ts";
import { type DigitFigures, digitLosses, digitTable } from "./digit-students.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** A bump a class, which a straight line finds. */
function bumps(count: number): LabelledRows {
  const noise = random("bumps").normal(count * classes);
  const labels = Int32Array.from({ length: count }, (_, i) => i % classes);
  const rows = noise.map((z, i) => 0.3 * z + (i % classes === labels[Math.floor(i / classes)] ? 2 : 0));
  return { rows, labels, width: classes };
}

it("learns what can be learnt, and begins alike for one seed", () => {
  const data = bumps(200);
  const whole = batchOf(
    data,
    Int32Array.from(data.labels, (_, i) => i),
  );
  const learn = () => {
    const parameters = newClassifier(data.width, 16, "one");
    trainClassifier(
      parameters,
      data,
      (logits, { labels }) => tf.mean(crossEntropy(logits, labels)) as tf.Scalar,
      {
        epochs: 20,
        batchSize: 20,
        learningRate: 1e-2,
        random: random("order"),
      },
    );
    return logitsOf(parameters, whole.x);
  };
  const logits = learn();
  const right = tf.mean(tf.cast(tf.equal(tf.argMax(logits, 1), whole.labels), "float32")).dataSync()[0]!;
  expect(right).toBeGreaterThan(0.95);
  expect(Array.from(learn().dataSync())).toEqual(Array.from(logits.dataSync()));
});

it("shows differences seed by seed", () => {
  const figures = (accuracy: number): DigitFigures => ({
    accuracy,
    teacherAccuracy: 0.95,
    agreement: 0.9,
    totalVariation: 0.1,
    forwardKl: 0.2,
  });
  const seed = (base: number) =>
    Object.fromEntries(
      Object.keys(digitLosses).map((name) => [name, figures(name === "sinkhorn" ? base + 0.01 : base)]),
    );
  const table = digitTable([seed(0.8), seed(0.9)]);
  // The rows' own intervals are wide, their difference has none.
  expect(table).toContain("| ce | 0.8500 ± 0.6353 | 0.0100 ± 0.0000 |");
  expect(table).toContain("| *teacher* | 0.9500 ± 0.0000 |");
});
