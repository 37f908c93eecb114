import * as tf from "@tensorflow/tfjs-core";
import { walkBack } from "./gradients.ts";
import { lazyGradient } from "./kernel.ts";
import { canRecord, record } from "./tape.ts";

/**
 * f(x), of which only x is kept for the gradient: the backward pass computes f anew (gradient checkpointing, Chen et al. 2016,
 * https://arxiv.org/abs/1604.06174). A third more computing, and of a deep chain of such steps the memory of one.
 *
 * f must be a function of x, the constants and the variables alone, and give the same each time; other tensors that it reads must
 * outlive the gradient.
 *
 * @param variables all that f reads and that may be trained, by any names but "x"
 * @param constants what f needs beside x and has no gradient, such as masks and positions
 * @throws when its gradient is taken inside another gradient
 */
export function recomputed<K extends string = never>(
  x: tf.Tensor,
  variables: ReadonlyMap<string, tf.Variable>,
  f: (x: tf.Tensor, constants: Record<K, tf.Tensor>) => tf.Tensor,
  constants: Record<K, tf.Tensor> = {} as Record<K, tf.Tensor>,
): tf.Tensor {
  if (!tf.engine().isTapeOn()) return tf.tidy(() => f(x, constants));
  const names = Object.keys(constants) as K[];
  const inputs: Record<string, tf.Tensor> = { ...Object.fromEntries(variables), x };
  return lazyGradient(
    inputs,
    (save) => {
      save([x, ...names.map((name) => constants[name])]);
      return f(x, constants);
    },
    (dy, [saved, ...kept]) => {
      if (!canRecord())
        throw new Error(
          "recomputed: its gradient can't be taken inside another gradient; switch it off there.",
        );
      const leaf = tf.clone(saved!);
      const again = Object.fromEntries(names.map((name, i) => [name, kept[i]!])) as Record<K, tf.Tensor>;
      const { value, tape } = record(() => f(leaf, again));
      const gradients = new Map([[value.id, tf.clone(dy)]]);
      walkBack(tape, gradients, [leaf, ...variables.values()]);
      value.dispose();
      const of = (tensor: tf.Tensor) => () => gradients.get(tensor.id) ?? tf.zerosLike(tensor);
      return Object.fromEntries(
        Object.entries(inputs).map(([name, tensor]) => [name, of(name === "x" ? leaf : tensor)]),
      );
    },
  );
}
