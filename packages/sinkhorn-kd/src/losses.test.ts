import "@tensorflow/tfjs";
import { forwardKl } from "@fdiv/divergences";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertNoLeak } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { chunkedDivergence } from "./chunked-divergence.ts";
import {
  distillationLoss,
  logitDistillation,
  sampleWiseSinkhorn,
  sinkhornKd,
  sparseDistillation,
  sparseTeacher,
  universalLogitDistance,
} from "./index.ts";
import { randomLogits } from "./random-logits.testing.ts";

const { normal, pairOf } = randomLogits(100);

beforeAll(async () => {
  await startBackend({ backend: process.env.FDIV_TEST_BACKEND ?? "wasm", threads: 1 });
});

describe("errors and leaks", () => {
  it("names what is wrong", () => {
    const pair = pairOf(2, 3);
    const wrong = (options: object) => () => sinkhornKd(pair, options);
    expect(() => sinkhornKd({ student: normal(2, 3), teacher: normal(2, 4) })).toThrow(
      /universalLogitDistance/,
    );
    expect(wrong({ tau: 2 })).toThrow(/unknown option "tau"/);
    expect(wrong({ temperature: 0 })).toThrow(/temperature is 0/);
    expect(wrong({ mask: tf.ones([3]) })).toThrow(/mask has shape \[3\]/);
    expect(wrong({ formulation: { kind: "sequence" } })).toThrow(/sequences need logits/);
    expect(wrong({ formulation: { kind: "tokens" } })).toThrow(/no such formulation/);
    expect(wrong({ formulation: { kind: "answer", answers: tf.ones([2]) }, mask: tf.ones([2]) })).toThrow(
      /ignored/,
    );
    expect(wrong({ formulation: { kind: "answer", answers: tf.ones([2]), vocabulary: [3] } })).toThrow(
      /holds 3/,
    );
    expect(() => logitDistillation(pair, { divergence: "forward-k" })).toThrow(/Did you mean/);
    expect(() => logitDistillation(pair, { chunk: 0 })).toThrow(/chunk is 0/);
    expect(() => sinkhornKd({ student: tf.fill([2, 3], Number.NaN), teacher: pair.teacher })).toThrow(
      /problem 0 holds NaN/,
    );
  });

  it("leaves nothing behind, with and without gradients", async () => {
    const pair = pairOf(4, 6) as { student: tf.Tensor2D; teacher: tf.Tensor2D };
    const labels = tf.tensor1d([0, 1, 2, 3], "int32");
    const runs = [
      (student: tf.Tensor) => tf.tidy(() => sinkhornKd({ ...pair, student }).loss),
      (student: tf.Tensor) => tf.tidy(() => sampleWiseSinkhorn({ ...pair, student }).loss),
      (student: tf.Tensor) => logitDistillation({ ...pair, student }, { chunk: 2 }),
      (student: tf.Tensor) => universalLogitDistance({ ...pair, student }),
      (student: tf.Tensor) =>
        tf.tidy(() => distillationLoss({ ...pair, student, labels }, { alpha: 0.5, beta: 1 }).loss),
    ];
    for (const run of runs) {
      await assertNoLeak(() => tf.dispose(run(pair.student)));
      await assertNoLeak(() => tf.dispose(tf.grad((x: tf.Tensor) => tf.sum(run(x)))(pair.student)));
    }
    await assertNoLeak(() => {
      const teacher = sparseTeacher(pair.teacher, { k: 2 });
      tf.dispose([
        sparseDistillation(pair.student, teacher),
        teacher.indices,
        teacher.logProbs,
        teacher.tail,
      ]);
    });
    expect(chunkedDivergence(forwardKl, tf.zeros([0, 3]), tf.zeros([0, 3])).shape).toEqual([0]);
  });
});
