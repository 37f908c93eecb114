import type * as tf from "@tensorflow/tfjs-core";

/** The tensors of a state whose names begin so, by the rest of their names. */
export const withPrefix = (prefix: string, tensors: ReadonlyMap<string, tf.Tensor>): Map<string, tf.Tensor> =>
  new Map(
    [...tensors]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, x]) => [name.slice(prefix.length), x]),
  );

/** Puts parameters to what a state has of them. Throws RangeError on one that the policy lacks. */
export function assignParameters(
  what: string,
  parameters: ReadonlyMap<string, tf.Variable>,
  saved: ReadonlyMap<string, tf.Tensor>,
): void {
  for (const [name, tensor] of saved) {
    const variable = parameters.get(name);
    if (!variable) throw new RangeError(`${what}: the state has a parameter ${name}, the policy none.`);
    if (variable !== tensor) variable.assign(tensor);
  }
}
