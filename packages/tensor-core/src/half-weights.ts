import * as tf from "@tensorflow/tfjs-core";
import { bfloat16ToFloat, floatToBfloat16 } from "./half.ts";
import { defineKernel, hasFastKernel } from "./kernel.ts";

/**
 * A frozen weight in bfloat16: TensorFlow.js has no such type, so two numbers of a row share an int32, the first in its lower half,
 * [rows, columns / 2]. `linear`, `matMul` on the right, `embedding` and `selectedLogProbs` take it where they take a float32 weight.
 */
export type HalfWeight = tf.Tensor2D;

/** The data of those there are: to TensorFlow.js they are int32 matrices like any other. A clone shares its original's data. */
const known = new WeakSet<object>();

/** Whether a weight is in bfloat16. */
export const isHalfWeight = ({ dataId }: tf.TensorInfo): boolean => known.has(dataId);

/** The shape of what a weight holds, whichever way it lies in memory. */
export const weightShape = (weight: tf.TensorInfo): number[] =>
  isHalfWeight(weight) ? [weight.shape[0]!, 2 * weight.shape[1]!] : weight.shape;

/** Whether the backend computes with bfloat16 weights as they lie; elsewhere each use widens them first, which saves no memory. */
export const computesWithHalfWeights = (): boolean => hasFastKernel("FdivWiden");

/** Whether a weight of this shape can be stored in bfloat16: matrices of even rows. */
export const fitsHalfWeight = (shape: readonly number[]): boolean =>
  shape.length === 2 && shape[1]! > 0 && shape[1]! % 2 === 0;

/**
 * A weight rounded to bfloat16, to nearest, ties to even.
 *
 * @param values [rows · columns], row by row; as Uint16Array, the bits of bfloat16 numbers, which are taken as they are
 * @throws when the shape is no matrix of an even number of columns
 */
export function halfWeight(values: Float32Array | Uint16Array, shape: readonly number[]): HalfWeight {
  if (!fitsHalfWeight(shape))
    throw new Error(
      `halfWeight: a weight of shape [${shape.join(", ")}] can't be stored in bfloat16; matrices of an even number of columns can.`,
    );
  const bits = values instanceof Uint16Array ? values : floatToBfloat16(values);
  // Two numbers of an int32 begin where an int32 may, which a part of a file need not.
  const aligned = bits.byteOffset % 4 === 0 ? bits : bits.slice();
  const pairs = new Int32Array(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.length / 2);
  const weight = tf.tensor2d(pairs, [shape[0]!, shape[1]! / 2], "int32");
  known.add(weight.dataId);
  return weight;
}

/** FdivWiden: a bfloat16 weight's numbers in float32; its twin reads them to the host, since no operation of TensorFlow.js' looks at bits. */
export const widenKernel = defineKernel<{ x: tf.Tensor }, object>({
  name: "FdivWiden",
  generic: ({ x }) => {
    const bits = (x.dataSync() as Int32Array).slice();
    const [rows, pairs] = x.shape as [number, number];
    return tf.tensor2d(bfloat16ToFloat(new Uint16Array(bits.buffer)), [rows, 2 * pairs]);
  },
});

/**
 * The numbers of bfloat16 bits in float32, widened where the backend computes.
 *
 * @param bits [rows · columns], row by row
 */
export function widened(bits: Uint16Array, shape: readonly number[]): tf.Tensor {
  if (!computesWithHalfWeights() || !fitsHalfWeight(shape))
    return tf.tensor(bfloat16ToFloat(bits), [...shape], "float32");
  return tf.tidy(() => floatWeight(halfWeight(bits, shape)));
}

/** A weight in float32: itself, or a bfloat16 one widened, which is exact. */
export const floatWeight = (weight: tf.Tensor): tf.Tensor =>
  isHalfWeight(weight) ? widenKernel({ x: weight }, {})[0]! : weight;
