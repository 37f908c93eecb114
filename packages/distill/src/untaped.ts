import { lazyGradient } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

/**
 * Runs f without recording it for gradients, as stopping the gradient there does, and without keeping what its operations would save.
 *
 * @returns f's tensors, kept beyond any tidy: the caller disposes of them
 */
export function untaped<T extends Record<string, tf.Tensor>>(f: () => T): T {
  let results: T | undefined;
  tf.tidy(() => {
    lazyGradient(
      { nothing: tf.scalar(0) },
      () => {
        results = f();
        for (const [name, tensor] of Object.entries(results))
          (results as Record<string, tf.Tensor>)[name] = tf.keep(tf.clone(tensor));
        return tf.scalar(0);
      },
      () => ({ nothing: () => tf.scalar(0) }),
    );
  });
  return results!;
}

/** Hands kept tensors back to the tidy around: constants for what is recorded there, freed with the rest. */
export function scoped<T extends Record<string, tf.Tensor>>(kept: T): T {
  const handed = Object.fromEntries(Object.entries(kept).map(([name, tensor]) => [name, tf.clone(tensor)]));
  tf.dispose(kept);
  return handed as T;
}
