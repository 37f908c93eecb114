import type * as tf from "@tensorflow/tfjs-core";

/** A shape as error messages print it: `[2, 3]`. */
export const printShape = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

/**
 * Holds an argument's shape against what another argument asks for.
 *
 * @throws when the shapes differ, naming the op, the argument and both shapes.
 */
export function checkShape(
  op: string,
  argument: string,
  tensor: { shape: readonly number[] },
  expected: readonly number[],
  reason: string,
): void {
  const { shape } = tensor;
  if (shape.length === expected.length && shape.every((size, axis) => size === expected[axis])) return;
  throw new Error(
    `${op}: ${argument} has shape ${printShape(shape)}, expected ${printShape(expected)} (${reason}).`,
  );
}

/** @throws when a tensor's rank lies outside [least, most]. */
export function checkRank(
  op: string,
  argument: string,
  tensor: tf.Tensor,
  least: number,
  most = least,
): void {
  if (tensor.rank >= least && tensor.rank <= most) return;
  const wanted = most === least ? `rank ${least}` : `rank ${least} or more`;
  throw new Error(`${op}: ${argument} has shape ${printShape(tensor.shape)}, expected ${wanted}.`);
}

/** @throws when a tensor has another dtype. */
export function checkType(op: string, argument: string, tensor: tf.Tensor, dtype: tf.DataType): void {
  if (tensor.dtype === dtype) return;
  throw new Error(
    `${op}: ${argument} ${printShape(tensor.shape)} has dtype ${tensor.dtype}, expected ${dtype}.`,
  );
}
