import { computesWithHalfWeights, fitsHalfWeight, halfWeight, widened } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

/** How frozen weights lie in memory: bfloat16 takes half, and rounds matrices to 8 bits of significand; what they multiply stays float32. */
export type WeightStorage = "float32" | "bfloat16";

export interface HoldOptions {
  /** Default true; false makes frozen tensors, as generating and references need no more. */
  trainable?: boolean;
  /** Of the matrices among frozen weights; norms and biases stay float32. Default float32. */
  storage?: WeightStorage;
}

/** @throws when weights can't be stored so: trained ones, or on a backend that would have to widen them at each use. */
export function checkStorage({ trainable = true, storage = "float32" }: HoldOptions): void {
  if (storage === "float32") return;
  if (trainable)
    throw new Error(
      "storage: only frozen weights can be stored in bfloat16; updates are smaller than its steps. Load with trainable false, or train an adapter.",
    );
  if (!computesWithHalfWeights())
    throw new Error(
      `storage: the backend ${tf.getBackend()} can't compute with bfloat16 weights; tensorflow with fdiv's operations (npx @fdiv/native install) and wasm can.`,
    );
}

/** A weight's values in float32, or the bits of bfloat16 ones. */
export type WeightValues = Float32Array | Uint16Array;

const floats = (values: WeightValues, shape: number[]): tf.Tensor =>
  values instanceof Uint16Array ? widened(values, shape) : tf.tensor(values, shape, "float32");

/** A kept tensor of a weight's values; what is no matrix of even rows is float32 in any case. */
export function storedWeight(
  values: WeightValues,
  shape: number[],
  storage: WeightStorage = "float32",
): tf.Tensor {
  const isHalf = storage === "bfloat16" && fitsHalfWeight(shape);
  const tensor: tf.Tensor = tf.keep(isHalf ? halfWeight(values, shape) : floats(values, shape));
  handOver(tensor);
  return tensor;
}

/**
 * Makes the backend take a new tensor's numbers now. TensorFlow's takes them when they are first used, and until then, and for as long as
 * no garbage is collected after that, JavaScript holds them too: a model would be in memory twice.
 */
function handOver(tensor: tf.Tensor): void {
  if (tf.getBackend() !== "tensorflow" || tensor.size === 0) return;
  const one = tensor.shape.map(() => 1);
  tf.slice(tensor, new Array(one.length).fill(0), one).dispose();
}
