import * as tf from "@tensorflow/tfjs-core";
import { lazyGradient } from "./kernel.ts";
import { checkShape } from "./shape-check.ts";

/**
 * a + b of the same shape. Unlike `tf.add`, its gradient keeps nothing: TensorFlow.js holds both until then, to learn their shapes.
 *
 * @throws when the shapes differ
 */
export function add(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  checkShape("add", "b", b, a.shape, "a's shape");
  return lazyGradient(
    { a, b },
    () => tf.add(a, b),
    (dy) => ({ a: () => dy, b: () => dy }),
  );
}
