import { recomputed } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { CausalLm } from "./causal-lm.ts";
import type { ForwardInput } from "./family.ts";

/** What may be trained of one layer: its own variables and those of its adapters. */
function variablesOf(model: CausalLm, layer: string): Map<string, tf.Variable> {
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
 */
export function throughLayer(
  model: CausalLm,
  layer: string,
  x: tf.Tensor,
  input: ForwardInput,
  f: (x: tf.Tensor, input: ForwardInput) => tf.Tensor,
): tf.Tensor {
  if (!model.gradientCheckpointing) return tf.tidy(() => f(x, input));
  const { ids, positions, layout } = input;
  const anew = (y: tf.Tensor, constants: { ids: tf.Tensor; positions: tf.Tensor; layout: tf.Tensor }) =>
    f(y, { ...input, ...constants });
  return recomputed(x, variablesOf(model, layer), anew, { ids, positions, layout });
}
