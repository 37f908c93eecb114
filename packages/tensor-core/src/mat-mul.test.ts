import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { expect, it } from "vitest";
import { matMul } from "./mat-mul.ts";
import { assertAllClose, assertNoLeak, gradientCheck, onEachBackend } from "./testing/index.ts";

const backends = ["cpu", "wasm", "tensorflow"];
const forms = [false, true].flatMap((a) => [false, true].map((b) => ({ transposeA: a, transposeB: b })));
const noise = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, "float32", seed);

it("multiplies a known pair in all four forms", () =>
  onEachBackend(backends, () => {
    const a = tf.tensor2d([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    const b = tf.tensor2d([
      [1, 0],
      [2, -1],
      [0, 3],
    ]);
    for (const form of forms) {
      const left = form.transposeA ? tf.transpose(a) : a;
      const right = form.transposeB ? tf.transpose(b) : b;
      const c = matMul(left, right, form);
      expect(c.shape).toEqual([2, 2]);
      assertAllClose(c, [5, 7, 14, 13]);
    }
  }));

it("multiplies batches pair by pair", () =>
  onEachBackend(backends, () => {
    const [a, b] = [noise([2, 3, 4], 1), noise([2, 5, 4], 2)];
    const c = matMul(a, b, { transposeB: true });
    const rows = [0, 1].map((i) =>
      tf.matMul(tf.reshape(tf.slice(a, i, 1), [3, 4]), tf.reshape(tf.slice(b, i, 1), [5, 4]), false, true),
    );
    assertAllClose(c, tf.stack(rows));
  }));

it("has the right gradient in all forms, flat and batched", () =>
  onEachBackend(backends, () => {
    for (const form of forms) {
      for (const batch of [[], [2]]) {
        const a = noise([...batch, ...(form.transposeA ? [3, 2] : [2, 3])], 3);
        const b = noise([...batch, ...(form.transposeB ? [4, 3] : [3, 4])], 4);
        gradientCheck((x, y) => matMul(x!, y!, form), [a, b]);
      }
    }
  }));

it("computes only the gradient that is asked", async () => {
  await tf.setBackend("cpu");
  const [a, b] = [noise([2, 3], 1), noise([3, 2], 2)];
  const profile = await tf.profile(() => tf.grad((x) => matMul(x, b))(a));
  expect(profile.kernelNames.length).toBeGreaterThan(0);
  expect(profile.kernels.filter(({ name }) => name === "FdivMatMul")).toHaveLength(2);
});

it("is associative", () =>
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 12, maxLength: 12 }), (v) => {
      const [a, b, c] = [
        tf.tensor2d(v.slice(0, 4), [2, 2]),
        tf.tensor2d(v.slice(4, 8), [2, 2]),
        tf.tensor2d(v.slice(8), [2, 2]),
      ];
      assertAllClose(matMul(matMul(a!, b!), c!), matMul(a!, matMul(b!, c!)));
    }),
    { numRuns: 30 },
  ));

it("keeps large and single-row operands, and leaks nothing", () =>
  onEachBackend(backends, async () => {
    const [a, b] = [tf.tensor2d([[1e4, -1e4]]), tf.tensor2d([[1e4], [100]])];
    assertAllClose(matMul(a, b), [1e8 - 1e6]);
    await assertNoLeak(() => tf.dispose(matMul(a, b)));
    await assertNoLeak(() => tf.dispose(tf.grads((x, y) => matMul(x!, y!))([a, b])));
  }));

it("names what does not fit", () => {
  const a = tf.zeros([2, 3]);
  expect(() => matMul(a, tf.zeros([2, 3]))).toThrow(/matMul: a \[2, 3\] does not fit b \[2, 3\].*3 and 2/);
  expect(() => matMul(a, tf.zeros([1, 3, 2]))).toThrow(/ranks and batches/);
  expect(() => matMul(tf.zeros([3]), a)).toThrow(/matMul: a has shape \[3\]/);
});
