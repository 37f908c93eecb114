import * as tf from "@tensorflow/tfjs-core";

/**
 * A scalar function's value and its gradients with respect to named variables.
 *
 * @param f builds the scalar from the variables; the tensors it makes are freed
 * @param parameters the variables; one that does not influence the value has no gradient in the result
 * @returns the value and the gradients by name; the caller disposes of both
 * @throws when there is no variable, or none influences the value
 */
export function valueAndGradients(
  f: () => tf.Scalar,
  parameters: ReadonlyMap<string, tf.Variable>,
): { value: tf.Scalar; gradients: Map<string, tf.Tensor> } {
  if (parameters.size === 0) throw new Error("valueAndGradients: there is no parameter to differentiate by.");
  const { value, grads } = tf.variableGrads(f, [...parameters.values()]);
  const gradients = new Map<string, tf.Tensor>();
  for (const [name, variable] of parameters) {
    const gradient = grads[variable.name];
    if (gradient) gradients.set(name, gradient);
  }
  return { value, gradients };
}
