import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose, gradientCheck } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { multiLevelDistillation, sinkhorn, universalLogitDistance } from "./index.ts";
import { randomLogits } from "./random-logits.testing.ts";
import { number } from "./transport.testing.ts";

// From here no two sorted probabilities are about to change places, where differences tell no gradient.
const { normal, pairOf } = randomLogits(110);

beforeAll(async () => {
  await startBackend({ backend: process.env.FDIV_TEST_BACKEND ?? "wasm", threads: 1 });
});

describe("other vocabularies", () => {
  it("ULD pads the smaller vocabulary; a renamed vocabulary is at distance 0", () => {
    const student = tf.tensor2d([Math.log(0.7), Math.log(0.3)], [1, 2]);
    const teacher = tf.tensor2d([0.2, 0.5, 0.3].map(Math.log), [1, 3]);
    assertAllClose(universalLogitDistance({ student, teacher }), 0.2 + 0 + 0.2);
    const pair = pairOf(4, 6);
    const renamed = tf.gather(pair.student, tf.tensor1d([5, 2, 0, 1, 4, 3], "int32"), 1);
    assertAllClose(universalLogitDistance({ student: pair.student, teacher: renamed }), [0, 0, 0, 0]);
    gradientCheck((x) => universalLogitDistance({ student: x!, teacher: pair.teacher }), [pair.student], {
      step: 2e-3,
    });
    expect(() => universalLogitDistance({ student, teacher: normal(2, 3) })).toThrow(/do not fit/);
  });

  it("multi-level transport: sequences of other lengths and vocabularies", () => {
    const [student, teacher] = [normal(2, 3, 6), normal(2, 4, 9)];
    const masks = {
      student: tf.tensor2d([1, 1, 1, 1, 1, 0], [2, 3]),
      teacher: tf.tensor2d([1, 1, 1, 1, 1, 1, 0, 0], [2, 4]),
    };
    const options = { topK: 5, masks, lambda: 0.2 };
    const { loss, absolute, logarithmic, sequence } = multiLevelDistillation({ student, teacher }, options);
    assertAllClose(loss, tf.addN([absolute, tf.mul(0.1, logarithmic), tf.mul(0.1, sequence)]));
    const top = (x: tf.Tensor, at: number, tokens: number) =>
      tf.topk(tf.softmax(tf.slice(x, [at, 0, 0], [1, tokens, -1])), 5).values.reshape([tokens, 5]);
    const [s, t] = [top(student, 1, 2), top(teacher, 1, 2)];
    const cost = tf.sum(tf.abs(tf.sub(tf.expandDims(s, 1), tf.expandDims(t, 0))), 2);
    assertAllClose(tf.slice(sequence, 1, 1), sinkhorn(cost, { lambda: 0.2 }).value, { absolute: 1e-6 });
    assertAllClose(tf.slice(absolute, 1, 1), number(tf.mean(tf.sum(tf.abs(tf.sub(s, t)), 1))));
    assertAllClose(tf.slice(logarithmic, 1, 1), -number(tf.mean(tf.sum(tf.mul(t, tf.log(s)), 1))));
    gradientCheck((x) => multiLevelDistillation({ student: x!, teacher }, options).loss, [student], {
      step: 2e-3,
      absolute: 4e-3,
    });
    const wide = multiLevelDistillation({ student, teacher }, { topK: 50 });
    expect(number(tf.all(tf.isFinite(wide.loss)))).toBe(1);
  });
});
