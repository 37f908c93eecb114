import * as tf from "@tensorflow/tfjs-core";

export interface Tolerance {
  /** Default 1e-5. */
  absolute?: number;
  /** Default 1e-4. */
  relative?: number;
}

type Nested = number | ArrayLike<number> | Nested[];

function flatten(values: Nested | tf.Tensor): number[] {
  if (values instanceof tf.Tensor) return Array.from(values.dataSync());
  if (typeof values === "number") return [values];
  return Array.from(values as ArrayLike<Nested>).flatMap((value) => flatten(value));
}

const close = (a: number, b: number, absolute: number, relative: number): boolean =>
  Object.is(a, b) ||
  a === b ||
  (Number.isFinite(a) && Number.isFinite(b) && Math.abs(a - b) <= absolute + relative * Math.abs(b));

/**
 * Asserts |actual − expected| ≤ absolute + relative·|expected| for every element; NaN equals NaN, an infinity itself.
 *
 * @throws naming the worst element, or the counts when they differ
 */
export function assertAllClose(
  actual: Nested | tf.Tensor,
  expected: Nested | tf.Tensor,
  tolerance: Tolerance = {},
): void {
  const { absolute = 1e-5, relative = 1e-4 } = tolerance;
  const [a, b] = [flatten(actual), flatten(expected)];
  if (a.length !== b.length)
    throw new Error(`assertAllClose: ${a.length} elements, expected ${b.length}: ${a} against ${b}.`);
  const wrong = a.findIndex((value, i) => !close(value, b[i]!, absolute, relative));
  if (wrong < 0) return;
  const count = a.filter((value, i) => !close(value, b[i]!, absolute, relative)).length;
  throw new Error(
    `assertAllClose: ${count} of ${a.length} elements differ; element ${wrong} is ${a[wrong]}, expected ${b[wrong]} ` +
      `(absolute ${absolute}, relative ${relative}).`,
  );
}
