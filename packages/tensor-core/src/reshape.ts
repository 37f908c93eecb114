import * as tf from "@tensorflow/tfjs-core";
import { lazyGradient } from "./kernel.ts";

/**
 * x in another shape. Unlike `tf.reshape`, its gradient keeps nothing: TensorFlow.js holds x itself until then, and with it the output of
 * whatever came before.
 *
 * @throws when the sizes differ
 */
export function reshape(x: tf.Tensor, shape: number[]): tf.Tensor {
  const before = x.shape;
  return lazyGradient(
    { x },
    () => tf.reshape(x, shape),
    (dy) => ({ x: () => tf.reshape(dy, before) }),
  );
}
