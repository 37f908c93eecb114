import "@tensorflow/tfjs";
import { forwardKl, jensenShannon, reverseKl, totalVariation } from "@fdiv/divergences";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose, gradientCheck } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { denseTeacher, logitDistillation, sparseDistillation, sparseTeacher } from "./index.ts";
import { randomLogits } from "./random-logits.testing.ts";

const { normal, pairOf } = randomLogits(100);

beforeAll(async () => {
  await startBackend({ backend: process.env.FDIV_TEST_BACKEND ?? "wasm", threads: 1 });
});

describe("sparse teachers", () => {
  it("all V kept is the dense loss; fewer never give more", () => {
    const { student, teacher } = pairOf(5, 12) as { student: tf.Tensor2D; teacher: tf.Tensor2D };
    for (const d of [forwardKl, reverseKl, jensenShannon, totalVariation]) {
      const dense = (x: tf.Tensor) =>
        logitDistillation(
          { student: x, teacher },
          { divergence: d, temperature: 2, temperatureSquared: true },
        );
      const sparse = (k: number) => (x: tf.Tensor) =>
        sparseDistillation(x as tf.Tensor2D, sparseTeacher(teacher, { k, temperature: 2 }), {
          divergence: d,
          temperatureSquared: true,
        });
      assertAllClose(sparse(12)(student), dense(student), { absolute: 1e-5 });
      assertAllClose(tf.grad(sparse(12))(student), tf.grad(dense)(student), { absolute: 1e-5 });
      let before = Array.from(dense(student).dataSync());
      for (const k of [11, 6, 1]) {
        const now = Array.from(sparse(k)(student).dataSync());
        now.forEach((value, i) => {
          expect(value).toBeLessThan(before[i]! + 1e-5);
        });
        before = now;
      }
      if (d !== totalVariation)
        gradientCheck((x) => sparse(4)(x!), [student], { step: 5e-3, absolute: 4e-3 });
    }
  });

  it("keeps mass: a dense teacher from few tokens sums to 1, and is exact from all", () => {
    const logits = normal(4, 10) as tf.Tensor2D;
    const few = sparseTeacher(logits, { k: 3 });
    const kept = tf.sum(tf.exp(few.logProbs), 1);
    assertAllClose(tf.add(kept, tf.exp(few.tail)), [1, 1, 1, 1]);
    assertAllClose(tf.sum(tf.exp(denseTeacher(few)), 1), [1, 1, 1, 1]);
    assertAllClose(denseTeacher(sparseTeacher(logits, { k: 10 })), tf.logSoftmax(logits));
    // A tail that 1 − Σ would lose.
    const peaked = sparseTeacher(tf.tensor2d([30, 0, 0, -1], [1, 4]), { k: 1 });
    assertAllClose(peaked.tail, Math.log(2 + Math.exp(-1)) - 30, { absolute: 1e-4 });
    expect(() => sparseTeacher(logits, { k: 11 })).toThrow(/k is 11/);
    expect(() => sparseDistillation(normal(4, 9) as tf.Tensor2D, few)).toThrow(/expected \[4, 10\]/);
  });
});
