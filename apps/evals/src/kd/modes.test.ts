import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it } from "vitest";
import { gaussianLogits, modeFigures, modeSetting } from "./mode-settings.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** Gaussians of one width round each centre, as probabilities. */
const round = (centres: Float32Array, width: number): Float32Array =>
  tf
    .tidy(() => tf.softmax(gaussianLogits(tf.tensor1d(centres), tf.fill([8], Math.log(width)))))
    .dataSync() as Float32Array;

it("tells averaging, collapse and a perfect student apart", () => {
  const { centres, teacher, starts } = modeSetting(16, 1);
  expect(starts).not.toEqual(modeSetting(16, 2).starts);
  const law = tf.exp(teacher).dataSync() as Float32Array;
  const perfect = modeFigures(law, law, centres, 16);
  expect(perfect).toMatchObject({ smaller: 1, larger: 1, wasserstein: 0, totalVariation: 0 });
  expect(perfect.valley).toBeLessThan(0.01);
  const averaged = modeFigures(round(centres, 8), law, centres, 16);
  expect(averaged.valley).toBeGreaterThan(0.3);
  const collapsed = modeFigures(
    round(
      centres.map((c) => c - 8),
      1.5,
    ),
    law,
    centres,
    16,
  );
  expect(collapsed.smaller).toBeLessThan(0.01);
  // All of the student's mass where the teacher has 65 %.
  expect(collapsed.larger).toBeCloseTo(1 / 0.65, 2);
  // 35 % have 16 places to go.
  expect(collapsed.wasserstein).toBeCloseTo(0.35 * 16, 1);
  expect(collapsed.totalVariation).toBeCloseTo(0.35, 2);
});
