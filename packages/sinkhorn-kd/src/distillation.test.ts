import { readFileSync } from "node:fs";
import "@tensorflow/tfjs";
import { divergence, forwardKl, jensenShannon, reverseKl, totalVariation } from "@fdiv/divergences";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose, assertNoLeak, gradientCheck } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { chunkedDivergence } from "./chunked-divergence.ts";
import {
  type DistillationLossOptions,
  denseTeacher,
  distillationLoss,
  generalisedJensenShannon,
  logitDistillation,
  multiLevelDistillation,
  type SinkhornKdOptions,
  sampleWiseSinkhorn,
  sinkhorn,
  sinkhornKd,
  skewForwardKl,
  skewReverseKl,
  sparseDistillation,
  sparseTeacher,
  universalLogitDistance,
} from "./index.ts";

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
interface Loss {
  value: number[];
  dstudent: number[];
}
const golden: {
  sinkd: Sinkd[];
  logits: { student: number[]; teacher: number[]; losses: Record<string, Loss> };
} = JSON.parse(readFileSync(new URL("golden/sinkhorn.json", import.meta.url), "utf8"));

const number = (x: tf.Tensor): number => x.dataSync()[0]!;
let seed = 100;
const normal = (...shape: number[]) => tf.mul(tf.randomNormal(shape, 0, 1, "float32", seed++), 2);
const pairOf = (...shape: number[]) => ({ student: normal(...shape), teacher: normal(...shape) });
const given = () => ({
  student: tf.tensor2d(golden.logits.student, [5, 9]),
  teacher: tf.tensor2d(golden.logits.teacher, [5, 9]),
});

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

describe("divergences of logits", () => {
  const named = {
    "gjs:0.3": generalisedJensenShannon(0.3),
    "gjs:0.9": generalisedJensenShannon(0.9),
    "gjs:0.1:scaled": generalisedJensenShannon(0.1, { scaled: true }),
    "skew-forward:0.1": skewForwardKl(0.1),
    "skew-reverse:0.1": skewReverseKl(0.1),
  };
  const weights = tf.tidy(() => [1, 2, 3, 4, 5]);

  it.each(Object.keys(golden.logits.losses))("%s against PyTorch in double precision", (name) => {
    const expected = golden.logits.losses[name]!;
    const { student, teacher } = given();
    const run = (x: tf.Tensor): tf.Tensor1D => {
      if (name === "uld") return universalLogitDistance({ student: x, teacher }, { temperature: 2 });
      const d = named[name as keyof typeof named] ?? name;
      return logitDistillation({ student: x, teacher }, { divergence: d, temperature: 2, chunk: 4 });
    };
    assertAllClose(run(student), expected.value, { absolute: 2e-6, relative: 2e-5 });
    const g = tf.grad((x: tf.Tensor) => tf.sum(tf.mul(run(x), tf.tensor1d(weights))))(student);
    assertAllClose(g, expected.dstudent, { absolute: 1e-5, relative: 1e-4 });
  });

  it("generalised JS: half of the sum form in the middle, KL at its scaled ends, and continuous there", () => {
    const pair = given();
    const at = (d: Parameters<typeof logitDistillation>[1]) => logitDistillation(pair, d);
    assertAllClose(
      at({ divergence: generalisedJensenShannon(0.5) }),
      tf.mul(0.5, at({ divergence: jensenShannon })),
    );
    for (const [end, near, d] of [
      [0, 1e-4, forwardKl],
      [1, 1 - 1e-4, reverseKl],
    ] as const) {
      const scaled = (beta: number) => generalisedJensenShannon(beta, { scaled: true });
      expect(scaled(end)).toBe(d);
      assertAllClose(at({ divergence: scaled(near) }), at({ divergence: d }), { relative: 2e-2 });
      expect(() => generalisedJensenShannon(end)).toThrow(/scaled, it is/);
    }
    expect(() => generalisedJensenShannon(1.1)).toThrow(/beta is 1.1/);
    expect(skewForwardKl(0)).toBe(forwardKl);
    expect(skewReverseKl(0)).toBe(reverseKl);
    expect(() => skewForwardKl(1)).toThrow(/alpha is 1/);
  });

  it("interpolated divergences: value, score and weight are each other's derivatives, on numbers", () => {
    fc.assert(
      fc.property(
        fc.double({ min: -8, max: 8, noNaN: true }),
        fc.double({ min: 0.05, max: 0.95, noNaN: true }),
        (l, beta) => {
          const b = Math.round(beta * 20) / 20;
          for (const d of [generalisedJensenShannon(b), skewForwardKl(b), skewReverseKl(b)]) {
            const h = 1e-5;
            const slope = (f: (x: number) => number) => (f(l + h) - f(l - h)) / (2 * h);
            const scale = Math.exp(Math.max(l, 0));
            expect(Math.abs(slope(d.value) - Math.exp(l) * d.score(l))).toBeLessThan(1e-6 * scale);
            expect(Math.abs(slope(d.score) - d.weight(l))).toBeLessThan(1e-6);
            expect(d.value(l)).toBeGreaterThanOrEqual(-1e-12);
            const [u, f] = [Math.exp(l), d.dual().value(-l)];
            expect(Math.abs(u * f - d.value(l))).toBeLessThan(1e-9 * scale);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("chunks change nothing, masks leave tokens out, sequences are sums", () => {
    const pair = pairOf(2, 3, 11);
    const flatPair = {
      student: tf.reshape(pair.student, [6, 11]),
      teacher: tf.reshape(pair.teacher, [6, 11]),
    };
    const whole = logitDistillation(flatPair);
    for (const chunk of [1, 4, 11, 50]) assertAllClose(logitDistillation(flatPair, { chunk }), whole);
    const mask = tf.tensor2d([1, 0, 1, 1, 1, 0], [2, 3]);
    const spoilt = tf.mul(flatPair.student, tf.tensor2d([1, Number.NaN, 1, 1, 1, Number.NaN], [6, 1]));
    const f = (x: tf.Tensor) =>
      logitDistillation({ student: tf.reshape(x, [2, 3, 11]), teacher: pair.teacher }, { mask });
    const losses = f(spoilt);
    assertAllClose(losses, tf.mul(whole, [1, 0, 1, 1, 1, 0]));
    const values = whole.dataSync();
    const sums = [values[0]! + values[2]!, values[3]! + values[4]!];
    const sequence = { level: "sequence", mask } as const;
    assertAllClose(logitDistillation(pair, sequence), sums);
    assertAllClose(
      logitDistillation(pair, { ...sequence, mean: true }),
      sums.map((x) => x / 2),
    );
    const sequences = tf.tensor1d([0, 2, 0, 1, 1, 2], "int32");
    const grouped = logitDistillation(flatPair, { level: "sequence", sequences, count: 3 });
    assertAllClose(grouped, [values[0]! + values[2]!, values[3]! + values[4]!, values[1]! + values[5]!]);
    expect(() => logitDistillation(flatPair, { level: "sequence" })).toThrow(/tell the sequences/);
    assertAllClose(
      logitDistillation(flatPair, { temperatureSquared: true, temperature: 3 }),
      tf.mul(9, logitDistillation(flatPair, { temperature: 3 })),
    );
  });

  it("extreme logits and masked vocabularies are finite, with finite gradients", () => {
    for (const d of [
      forwardKl,
      reverseKl,
      jensenShannon,
      totalVariation,
      generalisedJensenShannon(0.4),
      skewForwardKl(0.1),
      divergence("squared-hellinger"),
    ]) {
      const f = (student: tf.Tensor) =>
        tf.sum(
          logitDistillation(
            { student, teacher: tf.tensor2d([-40, 40, 0, -Infinity], [1, 4]) },
            { divergence: d },
          ),
        ) as tf.Scalar;
      const { value, grad } = tf.valueAndGrad(f)(tf.tensor2d([40, -40, 1, -Infinity], [1, 4]));
      expect([d.name, Number.isFinite(number(value))]).toEqual([d.name, true]);
      expect([d.name, number(tf.all(tf.isFinite(grad)))]).toEqual([d.name, 1]);
    }
  });
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
    const { loss, crossEntropy, divergence: d, sinkhorn: s } = distillationLoss(batch, options);
    assertAllClose(loss, 0.3 * number(crossEntropy) + 0.7 * number(d) + 0.8 * number(s));
    const kl = logitDistillation(batch, { temperature: 2, mask: batch.mask });
    assertAllClose(d, (4 * number(tf.sum(kl))) / 5);
    assertAllClose(
      s,
      number(tf.sum(sinkhornKd(batch, { mask: batch.mask, formulation: { kind: "sequence" } }).loss)) / 5,
    );
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

describe("other vocabularies, sparse teachers", () => {
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
