import {
  copyParameters,
  disposeParameters,
  floatWeight,
  type NamePattern,
  selectParameters,
  trainableParameters as variablesOf,
} from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { DropoutDraws } from "./dropout.ts";
import { toTensor, toVariable } from "./held-parameters.ts";
import type { Lora } from "./lora.ts";
import { disposeLora } from "./lora-merge.ts";
import { disposeRotaryTables } from "./rotary-cache.ts";

/** What every language model here has, whatever its architecture. */
export interface Parameterised {
  /** By Hugging Face name; a trainable one is a tf.Variable, a frozen one a plain tensor. */
  parameters: Map<string, tf.Tensor>;
  lora?: Lora;
  /** Whether the gradient computes each layer anew in place of keeping what it made: less memory, a third more computing. */
  gradientCheckpointing?: boolean;
  /** What dropout draws from, within `withDropout` alone. */
  dropout?: DropoutDraws;
}

/** Makes the matching parameters plain tensors: no optimiser changes them and no gradient of theirs is computed. */
export function freeze(model: Parameterised, pattern: NamePattern = "*"): void {
  for (const [name, tensor] of selectParameters(model.parameters, pattern))
    if (tensor instanceof tf.Variable) model.parameters.set(name, toTensor(tensor));
}

/** Makes the matching parameters trainable; those in bfloat16 become float32. */
export function unfreeze(model: Parameterised, pattern: NamePattern = "*"): void {
  for (const [name, tensor] of selectParameters(model.parameters, pattern))
    if (!(tensor instanceof tf.Variable)) {
      const whole = tf.tidy(() => tf.keep(floatWeight(tensor)));
      if (whole !== tensor) tensor.dispose();
      model.parameters.set(name, toVariable(whole));
    }
}

/** What an optimiser may change: the Variables among the parameters, and the adapter's. */
export function trainableParameters(model: Parameterised): Map<string, tf.Variable> {
  return new Map([...variablesOf(model.parameters), ...(model.lora?.parameters ?? [])]);
}

/** A frozen copy with memory of its own, as a reference model is; with an adapter on, the copy has it merged. */
export function copyModel<M extends Parameterised>(model: M): M {
  const { lora, gradientCheckpointing: _, ...rest } = model;
  const parameters = copyParameters(model.parameters);
  const put = (name: string, made: () => tf.Tensor) => {
    const before = parameters.get(name)!;
    parameters.set(name, tf.keep(tf.tidy(made)));
    before.dispose();
  };
  if (lora?.enabled && !lora.merged) {
    for (const [module, adapter] of lora.adapters) {
      const name = `${module}.weight`;
      put(name, () => tf.add(floatWeight(parameters.get(name)!), adapter.delta()));
    }
    for (const [name, variable] of lora.whole) put(name, () => tf.mul(variable, 1));
  }
  return { ...rest, parameters } as M;
}

/** Frees the model's memory, its adapter's included. */
export function disposeModel(model: Parameterised): void {
  disposeParameters(model.parameters);
  model.parameters.clear();
  if (model.lora) disposeLora(model.lora);
  delete model.lora;
  disposeRotaryTables(model);
}
