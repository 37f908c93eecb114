import * as tf from "@tensorflow/tfjs-core";
import { floatWeight, weightShape } from "./half-weights.ts";
import { defineKernel } from "./kernel.ts";
import { checkRank, printShape } from "./shape-check.ts";

export interface MatMulOptions {
  transposeA?: boolean;
  transposeB?: boolean;
}

/** Swaps the last two axes. */
const transposed = (x: tf.Tensor): tf.Tensor => tf.transpose(x, x.rank === 2 ? [1, 0] : [0, 2, 1]);

/**
 * The stock product of two matrices or two equal batches of them, for generic twins.
 *
 * The stock wasm kernel is an order of magnitude slower on a transposed operand than a transpose and a plain product are.
 */
export function stockMatMul(
  a: tf.Tensor,
  right: tf.Tensor,
  transposeA = false,
  transposeB = false,
): tf.Tensor {
  const b = floatWeight(right);
  if (tf.getBackend() !== "wasm") return tf.matMul(a, b, transposeA, transposeB);
  return tf.matMul(transposeA ? transposed(a) : a, transposeB ? transposed(b) : b);
}

/** FdivMatMul: c = op(a)·op(b) of two matrices, or of each pair in two batches of equal length; b may be a frozen weight in bfloat16. */
export const matMulKernel = defineKernel<
  { a: tf.Tensor; b: tf.Tensor },
  { transposeA: boolean; transposeB: boolean }
>({
  name: "FdivMatMul",
  generic: ({ a, b }, { transposeA, transposeB }) => stockMatMul(a, b, transposeA, transposeB),
  gradient: {
    inputs: ["a", "b"],
    outputs: [false],
    run: ([dy], [a, b], { transposeA, transposeB }) => ({
      a: () => (transposeA ? product(b!, dy!, transposeB, true) : product(dy!, b!, false, !transposeB)),
      b: () => (transposeB ? product(dy!, a!, true, transposeA) : product(a!, dy!, !transposeA, false)),
    }),
  },
});

/** The kernel on operands known to fit. */
export function product(a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean): tf.Tensor {
  return matMulKernel({ a, b }, { transposeA, transposeB })[0]!;
}

/**
 * The matrix product c = op(a)·op(b), where op transposes when asked.
 *
 * @param a [M, K] ([K, M] when transposeA), or a batch [B, M, K]
 * @param b [K, N] ([N, K] when transposeB), or a batch [B, K, N] of equal length; or a frozen weight in bfloat16
 * @returns [M, N] or [B, M, N]
 * @throws when the ranks, batches or inner sizes differ
 */
export function matMul(a: tf.Tensor, b: tf.Tensor, options: MatMulOptions = {}): tf.Tensor {
  const { transposeA = false, transposeB = false } = options;
  checkRank("matMul", "a", a, 2, 3);
  checkRank("matMul", "b", b, 2, 3);
  const innerA = a.shape[a.rank - (transposeA ? 2 : 1)];
  const innerB = weightShape(b)[b.rank - (transposeB ? 1 : 2)];
  const batches = a.rank === b.rank && (a.rank === 2 || a.shape[0] === b.shape[0]);
  if (!batches || innerA !== innerB) {
    const form = (transpose: boolean) => (transpose ? " (transposed)" : "");
    throw new Error(
      `matMul: a ${printShape(a.shape)}${form(transposeA)} does not fit b ${printShape(b.shape)}${form(transposeB)}: ` +
        `${batches ? `inner sizes ${innerA} and ${innerB} differ` : "ranks and batches must be equal"}.`,
    );
  }
  return product(a, b, transposeA, transposeB);
}
