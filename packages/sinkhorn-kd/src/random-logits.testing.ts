import * as tf from "@tensorflow/tfjs-core";

/** Normal logits of deviation 2, each draw from the next seed, so that a failure names its inputs. */
export function randomLogits(seed: number) {
  let next = seed;
  const normal = (...shape: number[]) => tf.mul(tf.randomNormal(shape, 0, 1, "float32", next++), 2);
  const pairOf = (...shape: number[]) => ({ student: normal(...shape), teacher: normal(...shape) });
  return { normal, pairOf };
}
