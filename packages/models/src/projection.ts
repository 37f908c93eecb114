import { type Activation, activate, add, linear } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { dropped } from "./dropout.ts";
import type { Parameterised } from "./parameterised.ts";

/** A model's parameter, or what an adapter that is on has trained in its place. */
function found(model: Parameterised, name: string): tf.Tensor | undefined {
  const { lora } = model;
  const own = lora?.enabled && !lora.merged ? lora.whole.get(name) : undefined;
  return own ?? model.parameters.get(name);
}

/** A model's parameter. @throws when the model has none of that name. */
export function parameter(model: Parameterised, name: string): tf.Tensor {
  const tensor = found(model, name);
  if (!tensor) throw new Error(`the model has no parameter ${name}`);
  return tensor;
}

/**
 * A named linear module with its bias, if it has one, and its LoRA adapter, if one is switched on:
 * y = f(x·W + b + scaling·x·Aᵀ·Bᵀ) (Hu et al. 2021, https://arxiv.org/abs/2106.09685, eq. 3), the adapter's x after its dropout.
 *
 * @param x [tokens, in]
 * @param conv1d whether W is [in, out] rather than [out, in]
 */
export function project(
  model: Parameterised,
  module: string,
  x: tf.Tensor,
  conv1d: boolean,
  activation: Activation = "none",
): tf.Tensor {
  const weight = parameter(model, `${module}.weight`);
  const bias = found(model, `${module}.bias`);
  const transposeWeight = !conv1d;
  const lora = model.lora;
  const adapter = lora?.enabled && !lora.merged ? lora.adapters.get(module) : undefined;
  const frozenWeight = !(weight instanceof tf.Variable);
  const options = { ...(bias && { bias }), transposeWeight, frozenWeight };
  if (!lora || !adapter) return linear(x, weight, { ...options, activation });
  const base = linear(x, weight, options);
  const read = dropped(model, `${module}.lora_dropout`, x, lora.config.dropout);
  const low = tf.mul(linear(read, adapter.a), tf.scalar(adapter.scaling));
  const sum = add(base, linear(low, adapter.b));
  return activation === "none" ? sum : activate(sum, activation);
}
