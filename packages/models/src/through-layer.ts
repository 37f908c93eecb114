import { recomputed } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { withDrawsOfNow } from "./dropout.ts";
import type { Parameterised } from "./parameterised.ts";

/** What may be trained of one layer: its own variables and those of its adapters. */
function variablesOf(model: Parameterised, layer: string): Map<string, tf.Variable> {
  const variables = new Map<string, tf.Variable>();
  for (const [name, tensor] of model.parameters)
    if (name.startsWith(layer) && tensor instanceof tf.Variable) variables.set(name, tensor);
  if (model.lora?.enabled && !model.lora.merged)
    for (const [module, { a, b }] of model.lora.adapters)
      if (module.startsWith(layer)) variables.set(`${module}.lora_A`, a).set(`${module}.lora_B`, b);
  return variables;
}

/**
 * One layer of a model: what it makes on the way is kept for the gradient, or computed anew where the model is so set.
 *
 * @param layer prefix of the layer's names, with its dot
 * @param input what the layer reads beside x; its tensors have no gradient
 * @param shared variables that the layer reads beside its own
 */
export function throughLayer<I extends object>(
  model: Parameterised,
  layer: string,
  x: tf.Tensor,
  input: I,
  f: (x: tf.Tensor, input: I) => tf.Tensor,
  shared: string[] = [],
): tf.Tensor {
  if (!model.gradientCheckpointing) return tf.tidy(() => f(x, input));
  const tensors = Object.entries(input).filter(
    (entry): entry is [string, tf.Tensor] => entry[1] instanceof tf.Tensor,
  );
  const variables = variablesOf(model, layer);
  for (const name of shared) {
    const tensor = model.parameters.get(name);
    if (tensor instanceof tf.Variable) variables.set(name, tensor);
  }
  const anew = withDrawsOfNow(model, (y: tf.Tensor, constants: Record<string, tf.Tensor>) =>
    f(y, { ...input, ...constants }),
  );
  return recomputed(x, variables, anew, Object.fromEntries(tensors));
}
