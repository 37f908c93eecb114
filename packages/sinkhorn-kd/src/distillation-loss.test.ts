import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { type DistillationLossOptions, distillationLoss, logitDistillation, sinkhornKd } from "./index.ts";
import { randomLogits } from "./random-logits.testing.ts";
import { number } from "./transport.testing.ts";

const { pairOf } = randomLogits(100);

beforeAll(async () => {
  await startBackend({ backend: process.env.FDIV_TEST_BACKEND ?? "wasm", threads: 1 });
});

describe("the mixture", () => {
  const labels = tf.tidy(() => [0, 3, 2, 1, 0, 4]);
  const options: DistillationLossOptions = {
    alpha: 0.7,
    beta: 0.8,
    sinkhorn: { formulation: { kind: "sequence" } },
  };
  const batchOf = () => ({
    ...pairOf(3, 2, 5),
    labels: tf.tensor2d(labels, [3, 2], "int32"),
    mask: tf.tensor2d([1, 1, 0, 1, 1, 1], [3, 2]),
  });

  it("is (1 − α)CE + αD + βL_SD", () => {
    const batch = batchOf();
    const {
      loss,
      crossEntropy,
      divergence: d,
      sinkhorn: s,
      rowError,
      converged,
    } = distillationLoss(batch, options);
    assertAllClose(loss, 0.3 * number(crossEntropy) + 0.7 * number(d) + 0.8 * number(s));
    const kl = logitDistillation(batch, { temperature: 2, mask: batch.mask });
    assertAllClose(d, (4 * number(tf.sum(kl))) / 5);
    assertAllClose(
      s,
      number(tf.sum(sinkhornKd(batch, { mask: batch.mask, formulation: { kind: "sequence" } }).loss)) / 5,
    );
    const alone = sinkhornKd(batch, { mask: batch.mask, formulation: { kind: "sequence" } });
    assertAllClose(rowError, number(tf.max(alone.rowError)));
    expect(number(converged)).toBe(number(tf.all(alone.converged)));
    const early = { lambda: 0.003, iterations: 1, formulation: { kind: "sequence" } } as const;
    expect(number(distillationLoss(batch, { ...options, sinkhorn: early }).converged)).toBe(0);
    const plain = distillationLoss(batch, { ...options, temperatureSquared: false });
    assertAllClose(plain.divergence, number(d) / 4);
    const logProbs = tf.reshape(tf.logSoftmax(batch.student), [6, 5]).dataSync();
    const nll = [0, 1, 3, 4, 5].reduce((sum, t) => sum - logProbs[5 * t + labels[t]!]!, 0);
    assertAllClose(crossEntropy, nll / 5);
    expect(number(distillationLoss(batch, { alpha: 1 }).crossEntropy)).toBe(0);
    expect(number(distillationLoss(batch, { alpha: 0 }).divergence)).toBe(0);
    expect(() =>
      distillationLoss({ student: batch.student, teacher: batch.teacher }, { alpha: 0.5 }),
    ).toThrow(/labels/);
    expect(() => distillationLoss(batch, { alpha: 2 })).toThrow(/alpha is 2/);
    expect(() => distillationLoss(batch, { alpha: 1, beta: -1 })).toThrow(/beta is -1/);
  });

  it("does not depend on how a step is split into micro-batches, nor does its gradient", () => {
    const batch = batchOf();
    const step =
      (from: number, count: number, normaliser?: { tokens: number; points: number }) =>
      (student: tf.Tensor) => {
        const part = (x: tf.Tensor) =>
          tf.slice(x, [from, ...x.shape.slice(1).map(() => 0)], [count, ...x.shape.slice(1)]);
        return distillationLoss(
          {
            student: part(student),
            teacher: part(batch.teacher),
            labels: part(batch.labels),
            mask: part(batch.mask),
          },
          { ...options, ...(normaliser && { normaliser }) },
        ).loss;
      };
    const whole = tf.valueAndGrad(step(0, 3))(batch.student);
    for (const sizes of [
      [1, 2],
      [2, 1],
      [1, 1, 1],
    ]) {
      let from = 0;
      const parts = sizes.map((count) => {
        const part = tf.valueAndGrad(step(from, count, { tokens: 5, points: 5 }))(batch.student);
        from += count;
        return part;
      });
      assertAllClose(tf.addN(parts.map(({ value }) => value)), whole.value);
      assertAllClose(tf.addN(parts.map(({ grad }) => grad)), whole.grad, { absolute: 1e-6 });
    }
  });
});
