import { readFileSync } from "node:fs";
import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose, gradientCheck } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { type SinkhornKdOptions, sinkhornKd } from "./index.ts";
import { randomLogits } from "./random-logits.testing.ts";
import { number } from "./transport.testing.ts";

interface Sinkd {
  batch: number;
  size: number;
  temperature: number;
  lambda: number;
  student: number[];
  teacher: number[];
  value: number;
  dstudent: number[];
  assignment: number;
}

const golden: { sinkd: Sinkd[] } = JSON.parse(
  readFileSync(new URL("golden/sinkhorn.json", import.meta.url), "utf8"),
);
const { normal, pairOf } = randomLogits(100);

beforeAll(async () => {
  await startBackend({ backend: process.env.FDIV_TEST_BACKEND ?? "wasm", threads: 1 });
});

describe("SinKD", () => {
  it.each(golden.sinkd)("of $batch × $size at λ = $lambda, against the published iterations", (row) => {
    const { batch, size, temperature, lambda } = row;
    const teacher = tf.tensor2d(row.teacher, [batch, size]);
    const f = (student: tf.Tensor) =>
      tf.sum(sinkhornKd({ student, teacher }, { temperature, lambda }).loss) as tf.Scalar;
    const { value, grad } = tf.valueAndGrad(f)(tf.tensor2d(row.student, [batch, size]));
    assertAllClose(value, row.value, { relative: 1e-5 });
    assertAllClose(grad, row.dstudent, { absolute: 2e-5, relative: 1e-3 });
    expect(number(value)).toBeGreaterThan(row.assignment - 1e-4);
    const small = sinkhornKd(
      { student: tf.tensor2d(row.student, [batch, size]), teacher },
      { temperature, lambda: 0.002, iterations: 3000 },
    );
    assertAllClose(small.loss, row.assignment, { relative: 5e-3 });
  });

  it("one example: ‖p − q‖₁; two classes, λ → 0: 2Σ|sort p − sort q|", () => {
    const one = pairOf(1, 6);
    const [p, q] = [one.student, one.teacher].map((x) => tf.softmax(tf.div(x, 2)));
    assertAllClose(sinkhornKd(one).loss, number(tf.sum(tf.abs(tf.sub(p!, q!)))));
    const two = pairOf(7, 2);
    const first = (x: tf.Tensor) =>
      Array.from(tf.slice(tf.softmax(tf.div(x, 2)), [0, 0], [-1, 1]).dataSync()).sort();
    const [s, t] = [first(two.student), first(two.teacher)];
    const expected = 2 * s.reduce((sum, x, i) => sum + Math.abs(x - t[i]!), 0);
    assertAllClose(sinkhornKd(two, { lambda: 0.003, iterations: 5000 }).loss, expected, { relative: 2e-3 });
  });

  it("does not know who belongs to whom; debiased it is 0 at p = q", () => {
    const pair = pairOf(6, 9);
    const order = tf.tensor1d([3, 5, 0, 1, 4, 2], "int32");
    const shuffled = { student: pair.student, teacher: tf.gather(pair.teacher, order) };
    assertAllClose(sinkhornKd(shuffled).loss, sinkhornKd(pair).loss);
    const same = { student: pair.teacher, teacher: pair.teacher };
    expect(number(sinkhornKd(same).loss)).toBeGreaterThan(0);
    expect(number(sinkhornKd(same, { debiased: true }).loss)).toBe(0);
  });

  it("formulations of language models say which points there are", () => {
    const pair = pairOf(3, 4, 8);
    const mask = tf.tensor2d([1, 1, 0, 0, 1, 1, 1, 1, 1, 0, 1, 0], [3, 4]);
    const kept = tf.tensor1d([0, 1, 4, 5, 6, 7, 8, 10], "int32");
    const rows = (x: tf.Tensor) => tf.gather(tf.reshape(x, [12, 8]), kept);
    const chosen = { student: rows(pair.student), teacher: rows(pair.teacher) };
    const batch = sinkhornKd(pair, { mask });
    expect(batch.points).toBe(8);
    assertAllClose(batch.loss, sinkhornKd(chosen).loss);
    assertAllClose(sinkhornKd(pair, { formulation: { kind: "answer", answers: mask } }).loss, batch.loss);
    const vocabulary = [6, 1, 3];
    const words = (x: tf.Tensor) => tf.gather(rows(x), tf.tensor1d(vocabulary, "int32"), 1);
    assertAllClose(
      sinkhornKd(pair, { formulation: { kind: "answer", answers: mask, vocabulary } }).loss,
      sinkhornKd({ student: words(pair.student), teacher: words(pair.teacher) }).loss,
    );
    const sequence = sinkhornKd(pair, { mask, formulation: { kind: "sequence" } });
    expect(sequence.points).toBe(8);
    expect(sequence.loss.shape).toEqual([3]);
    const first = (x: tf.Tensor) => tf.reshape(tf.slice(x, [0, 0, 0], [1, 2, 8]), [2, 8]);
    const alone = sinkhornKd({ student: first(pair.student), teacher: first(pair.teacher) });
    assertAllClose(tf.slice(sequence.loss, 0, 1), alone.loss);
    const nothing = sinkhornKd(pair, { mask: tf.zeros([3, 4]) });
    expect([number(nothing.loss), nothing.points]).toEqual([0, 0]);
  });

  it("gradients: sequences, masks, debiased, τ², the fixed point's, other costs", () => {
    const teacher = normal(2, 3, 4);
    const mask = tf.tensor2d([1, 1, 0, 1, 1, 1], [2, 3]);
    const cases: SinkhornKdOptions[] = [
      { mask, formulation: { kind: "sequence" }, lambda: 0.3 },
      { mask, temperatureSquared: true },
      { debiased: true, lambda: 0.3 },
      {
        cost: "squaredEuclidean",
        transport: { tolerance: 1e-6, gradient: "implicit" } as SinkhornKdOptions["transport"],
      },
      { formulation: { kind: "answer", answers: mask, vocabulary: [2, 0] } },
    ] as SinkhornKdOptions[];
    for (const options of cases)
      gradientCheck(
        (student) => sinkhornKd({ student: student!, teacher }, options).loss,
        [normal(2, 3, 4)],
        {
          step: 5e-3,
        },
      );
    const other = normal(2, 3, 4);
    const g = tf.grad((t: tf.Tensor) =>
      tf.sum(sinkhornKd({ student: tf.add(tf.mul(t, 0), other), teacher: t }).loss),
    )(teacher);
    expect(number(tf.max(tf.abs(g)))).toBe(0);
  });
});
