import "@tensorflow/tfjs";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import * as library from "./index.ts";

// As plain JavaScript calls it, without types that would refuse first.
// biome-ignore lint/suspicious/noExplicitAny: what is under test is what types can't see.
const untyped = library as any;
const normal = (seed: number, ...shape: number[]) => tf.randomNormal(shape, 0, 1, "float32", seed);
const pairOf = (...shape: number[]) => ({ student: normal(1, ...shape), teacher: normal(2, ...shape) });

beforeAll(async () => {
  await startBackend({ backend: process.env.FDIV_TEST_BACKEND ?? "wasm", threads: 1 });
});

/** Every exported function that takes options, with some given. */
const calls: Record<string, (options: object) => unknown> = {
  sinkhorn: (options) => untyped.sinkhorn(tf.zeros([2, 3]), { lambda: 1, ...options }),
  sinkhornPlan: (options) => untyped.sinkhornPlan(tf.zeros([2, 3]), { lambda: 1, ...options }),
  sinkhornDivergence: (options) =>
    untyped.sinkhornDivergence(normal(3, 2, 3), normal(4, 2, 3), { lambda: 1, ...options }),
  sinkhornKd: (options) => untyped.sinkhornKd(pairOf(3, 4), options),
  sampleWiseSinkhorn: (options) => untyped.sampleWiseSinkhorn(pairOf(3, 4), options),
  logitDistillation: (options) => untyped.logitDistillation(pairOf(3, 4), options),
  distillationLoss: (options) => untyped.distillationLoss(pairOf(3, 4), { alpha: 1, ...options }),
  universalLogitDistance: (options) => untyped.universalLogitDistance(pairOf(3, 4), options),
  multiLevelDistillation: (options) => untyped.multiLevelDistillation(pairOf(2, 3, 4), options),
  sparseTeacher: (options) => untyped.sparseTeacher(normal(5, 3, 4), { k: 2, ...options }),
  sparseDistillation: (options) =>
    untyped.sparseDistillation(
      normal(6, 3, 4),
      library.sparseTeacher(normal(5, 3, 4) as tf.Tensor2D, { k: 2 }),
      options,
    ),
  generalisedJensenShannon: (options) => untyped.generalisedJensenShannon(0.3, options),
};

describe("options that nothing would read are refused", () => {
  it.each(Object.keys(calls))("by %s, naming those that there are", (name) => {
    const call = calls[name]!;
    expect(() => call({})).not.toThrow();
    expect(() => call({ tempreature: 2 })).toThrow(RangeError);
    expect(() => call({ tempreature: 2 })).toThrow(/unknown option "tempreature"; there are [a-z]/);
    expect(() => call({ toString: 2 })).toThrow(/unknown option "toString"/);
  });

  it.each([
    ["sinkhorn", { annealing: { form: 2 } }, /annealing: unknown option "form"; there are from, factor/],
    ["sinkhorn", { acceleration: { kind: "none", relaxation: 1.5 } }, /none: unknown option "relaxation"/],
    ["sinkhorn", { acceleration: { kind: "momentum", relaxation: 1.5, memory: 3 } }, /option "memory"/],
    ["sinkhorn", { acceleration: "anderson" }, /acceleration is anderson, expected/],
    ["sinkhorn", { unbalanced: { rows: 1, columns: 1, cols: 2 } }, /unbalanced: unknown option "cols"/],
    ["sinkhorn", { maxIterations: 50 }, /maxIterations would be ignored without a tolerance/],
    ["sinkhorn", { checkEvery: 5, iterations: 5 }, /checkEvery would be ignored without a tolerance/],
    ["sinkhornKd", { transport: { lambda: 1 }, lambda: 2 }, /lambda is given twice/],
    ["sinkhornKd", { transport: { iterations: 1 }, iterations: 2 }, /iterations is given twice/],
    ["sinkhornKd", { transport: { lamda: 1 } }, /unknown option "lamda"/],
    ["sinkhornKd", { transport: 3 }, /transport is 3, expected an object/],
    [
      "sinkhornKd",
      { formulation: { kind: "batch", answers: 1 } },
      /formulation batch: unknown option "answers"/,
    ],
    ["sampleWiseSinkhorn", { transport: { marginals: "unit" } }, /transport.marginals would be ignored/],
    ["sampleWiseSinkhorn", { transport: { ragged: {} } }, /transport.ragged would be ignored/],
    ["multiLevelDistillation", { transport: { marginals: "unit" } }, /transport.marginals would be ignored/],
    ["multiLevelDistillation", { transport: { lambda: 1 }, lambda: 1 }, /lambda is given twice/],
    ["multiLevelDistillation", { weights: { sequences: 1 } }, /weights: unknown option "sequences"/],
    ["distillationLoss", { beta: 1, sinkhorn: { temperature: 1 } }, /sinkhorn.temperature would be ignored/],
    ["distillationLoss", { beta: 1, sinkhorn: { lamda: 1 } }, /unknown option "lamda"/],
    ["distillationLoss", { sinkhorn: { lambda: 1 } }, /sinkhorn would be ignored; beta/],
    ["distillationLoss", { normaliser: { token: 1 } }, /normaliser: unknown option "token"/],
    ["logitDistillation", { mean: true }, /mean would be ignored; it belongs to level "sequence"/],
    ["logitDistillation", { level: "sequence", count: 2 }, /count would be ignored/],
    ["logitDistillation", { level: "sentence" }, /no level "sentence"/],
  ] as [string, object, RegExp][])("within options too: %s %j", (name, options, message) => {
    expect(() => calls[name]!(options)).toThrow(message);
  });

  it("a mask and sizes of one's own can't both hold", () => {
    const ragged = { rows: [2], columns: [2] };
    expect(() => untyped.sinkhornKd(pairOf(3, 4), { mask: tf.ones([3]), transport: { ragged } })).toThrow(
      /transport.ragged would be ignored/,
    );
    expect(() => untyped.sinkhornKd(pairOf(3, 4), { transport: { ragged } })).not.toThrow();
  });
});

it("what is undefined leaves defaults alone", () => {
  const none = { lambda: undefined, marginals: undefined, tolerance: undefined, iterations: undefined };
  const pair = pairOf(3, 4);
  const loss = (name: string, transport: object) => untyped[name](pair, { transport }).loss;
  assertAllClose(loss("sinkhornKd", none), loss("sinkhornKd", {}));
  assertAllClose(loss("sampleWiseSinkhorn", none), loss("sampleWiseSinkhorn", {}));
  const ground = tf.sub(1, tf.eye(4));
  const over = (transport: object) => untyped.sampleWiseSinkhorn(pair, { ground, lambda: 0.02, transport });
  assertAllClose(over(none).loss, over({}).loss);
  expect(over(none).converged.dataSync().every(Boolean)).toBe(true);
});

describe("what is no tensor, or half of a pair, is named", () => {
  const cost = () => tf.zeros([2, 2]);
  const half = [0.5, 0.5];
  it.each([
    [{ marginals: "uniform" }, /no marginals "uniform"; there are normalised, unit/],
    [{ marginals: { a: tf.tensor1d(half) } }, /marginal b is undefined, expected a tensor; .* both a and b/],
    [{ marginals: { a: half, b: half } }, /marginal a is an array, expected a tensor/],
    [{ marginals: { a: tf.tensor1d(half), b: tf.tensor1d(half), c: 1 } }, /marginals: unknown option "c"/],
    [{ ragged: { row: [2] } }, /ragged: unknown option "row"; there are rows, columns/],
    [{ ragged: { rows: [2] } }, /ragged.columns is undefined, expected sizes/],
  ] as [object, RegExp][])("%j", (options, message) => {
    expect(() => untyped.sinkhorn(cost(), { lambda: 1, ...options })).toThrow(message);
  });

  it("costs, points, logits and options", () => {
    const rows = [
      [1, 2],
      [3, 4],
    ];
    expect(() => untyped.sinkhorn(rows, { lambda: 1 })).toThrow(/the cost is an array, expected a tensor/);
    expect(() => untyped.sinkhorn(undefined, { lambda: 1 })).toThrow(/the cost is undefined/);
    expect(() => untyped.sinkhorn(cost())).toThrow(/expected an object of options; there are lambda/);
    expect(() => untyped.sinkhornDivergence(normal(1, 2, 2), normal(2, 2, 2))).toThrow(/lambda is undefined/);
    expect(() => untyped.costMatrix(rows, rows)).toThrow(/x and y are tensors/);
    expect(() => untyped.sinkhornKd({ student: rows, teacher: rows })).toThrow(/student is no tensor/);
    expect(() => untyped.multiLevelDistillation({ student: normal(1, 2, 3, 4) })).toThrow(
      /teacher is no tensor/,
    );
    const masks = { student: tf.ones([2, 2]), teacher: tf.ones([2, 3]) };
    expect(() => untyped.multiLevelDistillation(pairOf(2, 3, 4), { masks })).toThrow(
      /masks.student has shape \[2,2\], expected \[2,3\]/,
    );
  });

  it("a teacher of another rank", () => {
    const pair = { student: normal(1, 8, 3), teacher: normal(2, 8, 3, 2) };
    for (const name of ["sinkhornKd", "logitDistillation", "sampleWiseSinkhorn"])
      expect(() => untyped[name](pair)).toThrow(
        /student has shape \[8,3\] and teacher \[8,3,2\], expected both/,
      );
  });
});

describe("what stands in padding changes nothing", () => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY, 1e30])("%d among the costs", (value) => {
    const inner = tf.randomUniform([2, 2], 0, 1, "float32", 1);
    const [p, q, r, t] = inner.dataSync();
    const padded = tf.tensor2d([p!, q!, value, r!, t!, value, value, value, value], [3, 3]);
    const ragged = { rows: [2], columns: [2] };
    for (const gradient of ["unrolled", "implicit"] as const) {
      const f = (x: tf.Tensor) => library.sinkhorn(x, { lambda: 0.2, gradient, ragged }).value as tf.Scalar;
      const found = tf.valueAndGrad(f)(padded);
      const alone = tf.valueAndGrad(
        (x: tf.Tensor) => library.sinkhorn(x, { lambda: 0.2, gradient }).value as tf.Scalar,
      )(inner);
      assertAllClose(found.value, alone.value);
      assertAllClose(
        found.grad,
        tf.pad(alone.grad, [
          [0, 1],
          [0, 1],
        ]),
        { absolute: 1e-6 },
      );
    }
    expect(() => library.sinkhorn(padded, { lambda: 0.2 })).toThrow(library.SinkhornError);
  });

  it("among the logits of sequences", () => {
    const { student, teacher } = pairOf(2, 3, 4);
    const mask = tf.tensor2d([1, 1, 0, 1, 0, 0], [2, 3]);
    const hole = tf.where(
      tf.equal(tf.expandDims(mask, 2), 1),
      tf.zeros([2, 3, 4]),
      tf.fill([2, 3, 4], Number.NaN),
    );
    const losses = [
      (s: tf.Tensor, t: tf.Tensor) =>
        library.sinkhornKd({ student: s, teacher: t }, { mask, formulation: { kind: "sequence" } }).loss,
      (s: tf.Tensor, t: tf.Tensor) => library.sinkhornKd({ student: s, teacher: t }, { mask }).loss,
      (s: tf.Tensor, t: tf.Tensor) =>
        library.multiLevelDistillation(
          { student: s, teacher: t },
          { topK: 3, masks: { student: mask as tf.Tensor2D, teacher: mask as tf.Tensor2D } },
        ).loss,
    ];
    for (const loss of losses) {
      const of = (t: tf.Tensor) => tf.valueAndGrad((s: tf.Tensor) => tf.sum(loss(s, t)) as tf.Scalar);
      const clean = of(teacher)(student);
      const spoilt = of(tf.add(teacher, hole))(tf.add(student, hole));
      assertAllClose(spoilt.value, clean.value);
      assertAllClose(spoilt.grad, clean.grad, { absolute: 1e-6 });
    }
  });
});
