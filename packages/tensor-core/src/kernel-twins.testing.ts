import * as tf from "@tensorflow/tfjs-core";
import { expect } from "vitest";
import { withGenericKernels } from "./kernel.ts";
import { random } from "./random.ts";

/** Tensors of numbers drawn from a stream of its own name. */
export interface Draws {
  normal(...shape: number[]): tf.Tensor;
  indices(count: number, size: number): tf.Tensor1D;
}

export function drawsOf(name: string): Draws & { readonly draw: ReturnType<typeof random> } {
  const draw = random(name);
  return {
    draw,
    normal: (...shape) => tf.tensor(draw.normal(tf.util.sizeFromShape(shape)), shape),
    indices: (count, size) =>
      tf.tensor1d(
        Int32Array.from({ length: count }, () => draw.integer(size)),
        "int32",
      ),
  };
}

/** Largest difference, relative to the largest number expected, or to a floor where the twin itself cancels. */
function difference(found: tf.Tensor, expected: tf.Tensor, floor: number): number {
  expect(found.shape).toEqual(expected.shape);
  const [a, b] = [found.dataSync(), expected.dataSync()];
  let scale = floor;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    if (a[i] === b[i]) continue;
    if (Number.isNaN(a[i])) return Number.POSITIVE_INFINITY;
    scale = Math.max(scale, Math.abs(b[i]!));
    worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
  }
  return worst / scale;
}

/** Whether two tensors hold the same numbers, bit by bit. */
export const sameBits = (a: tf.Tensor, b: tf.Tensor): boolean => {
  const [x, y] = [a.dataSync(), b.dataSync()];
  return x.every((value, i) => Object.is(value, y[i]));
};

/** Runs a fast kernel and its twin: the same outputs, and the same bits each time. */
export function agree(run: () => tf.Tensor[], tolerance = 2e-6, floor = 1e-6): void {
  const fast = run();
  const twin = withGenericKernels(run);
  expect(fast).toHaveLength(twin.length);
  for (const [i, tensor] of fast.entries())
    expect(difference(tensor, twin[i]!, floor)).toBeLessThan(tolerance);
  const again = run();
  for (const [i, tensor] of fast.entries()) expect(sameBits(again[i]!, tensor)).toBe(true);
}

/** What a sum of so many products of standard normals comes to: it rounds by a share of that, however small it ends. */
export const sumOf = (terms: number): number => Math.sqrt(terms);

/** Where a row without a second branch begins one: behind all tokens. */
export const noBranch = 2 ** 31 - 1;
