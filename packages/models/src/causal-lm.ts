import {
  copyParameters,
  disposeParameters,
  type NamePattern,
  random,
  selectParameters,
  trainableParameters as variablesOf,
} from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Checkpoint } from "./checkpoint.ts";
import { type CausalLmConfig, type CausalLmOptions, causalLmConfig } from "./config.ts";
import { familyOf } from "./families.ts";
import type { ParameterSpec } from "./family.ts";
import type { Lora } from "./lora.ts";
import { checkParameters, neededParameters } from "./parameter-check.ts";
import { disposeRotaryTables } from "./rotary-cache.ts";
import type { Tokenizer } from "./tokenizer/tokenizer.ts";

/** A causal language model: an architecture and its parameters; every operation on it is a function. */
export interface CausalLm {
  config: CausalLmConfig;
  /** By Hugging Face name; a trainable one is a tf.Variable, a frozen one a plain tensor. */
  parameters: Map<string, tf.Tensor>;
  lora?: Lora;
  tokenizer?: Tokenizer;
  /** Whether the gradient computes each layer anew in place of keeping what it made: less memory, a third more computing. */
  gradientCheckpointing?: boolean;
}

export interface InitialisationOptions {
  /** The same seed gives the same parameters on every backend. */
  seed: number | string;
  tokenizer?: Tokenizer;
  /** Default true; false makes frozen tensors. */
  trainable?: boolean;
}

/** A Variable that owns its memory, or a kept tensor. */
function hold(values: Float32Array, shape: number[], trainable: boolean): tf.Tensor {
  const tensor = tf.keep(tf.tensor(values, shape, "float32"));
  return trainable ? toVariable(tensor) : tensor;
}

function toVariable(tensor: tf.Tensor): tf.Variable {
  const variable = tf.variable(tensor);
  tensor.dispose();
  return variable;
}

function toTensor(variable: tf.Tensor): tf.Tensor {
  const tensor = tf.keep(tf.clone(variable));
  variable.dispose();
  return tensor;
}

function initialValues(name: string, { shape, initial }: ParameterSpec, seed: number | string): Float32Array {
  const size = shape.reduce((product, axis) => product * axis, 1);
  if (initial === "zeros") return new Float32Array(size);
  if (initial === "ones") return new Float32Array(size).fill(1);
  const values = random(seed).fork(name).normal(size);
  return values.map((value) => value * initial.std);
}

/**
 * A new model with random parameters, drawn as Hugging Face draws them: weights normal with standard deviation
 * `initializerRange`, biases 0, norms 1, and GPT-2's residual projections divided by √(2·layers).
 *
 * @throws where the family is unknown or the config can't be.
 */
export function createCausalLm(options: CausalLmOptions, init: InitialisationOptions): CausalLm {
  const family = familyOf(options.modelType);
  const config = causalLmConfig(options);
  const parameters = new Map<string, tf.Tensor>();
  for (const [name, spec] of family.parameters(config))
    parameters.set(name, hold(initialValues(name, spec, init.seed), spec.shape, init.trainable ?? true));
  return { config, parameters, ...(init.tokenizer && { tokenizer: init.tokenizer }) };
}

/**
 * Builds a model from a checkpoint, after holding its tensors' names and shapes against the architecture.
 *
 * @throws one error that lists every missing, unexpected and mis-shaped tensor.
 */
export async function causalLmFrom(
  checkpoint: Checkpoint,
  options: { trainable?: boolean } = {},
): Promise<CausalLm> {
  const { config, tokenizer } = checkpoint;
  const tensors = [...checkpoint.tensors];
  checkParameters(config, tensors);
  const parameters = new Map<string, tf.Tensor>();
  try {
    for (const { name, tensor } of neededParameters(config, tensors))
      parameters.set(name, hold(await tensor.read(), tensor.shape, options.trainable ?? true));
  } catch (error) {
    disposeParameters(parameters);
    throw error;
  }
  return { config, parameters, ...(tokenizer && { tokenizer }) };
}

/** Makes the matching parameters plain tensors: no optimiser changes them and no gradient of theirs is computed. */
export function freeze(model: CausalLm, pattern: NamePattern = "*"): void {
  for (const [name, tensor] of selectParameters(model.parameters, pattern))
    if (tensor instanceof tf.Variable) model.parameters.set(name, toTensor(tensor));
}

/** Makes the matching parameters trainable. */
export function unfreeze(model: CausalLm, pattern: NamePattern = "*"): void {
  for (const [name, tensor] of selectParameters(model.parameters, pattern))
    if (!(tensor instanceof tf.Variable)) model.parameters.set(name, toVariable(tensor));
}

/** What an optimiser may change: the Variables among the parameters, and the adapter's. */
export function trainableParameters(model: CausalLm): Map<string, tf.Variable> {
  return new Map([...variablesOf(model.parameters), ...(model.lora?.parameters ?? [])]);
}

/** A frozen copy with memory of its own, as a reference model is; with an adapter on, the copy has it merged. */
export function copyModel(model: CausalLm): CausalLm {
  const { config, tokenizer, lora } = model;
  const parameters = copyParameters(model.parameters);
  if (lora?.enabled && !lora.merged)
    for (const [module, adapter] of lora.adapters) {
      const name = `${module}.weight`;
      const before = parameters.get(name)!;
      parameters.set(name, tf.keep(tf.tidy(() => tf.add(before, adapter.delta()))));
      before.dispose();
    }
  return { config, parameters, ...(tokenizer && { tokenizer }) };
}

/** Frees the model's memory, its adapter's included. */
export function disposeModel(model: CausalLm): void {
  disposeParameters(model.parameters);
  model.parameters.clear();
  for (const variable of model.lora?.parameters.values() ?? []) variable.dispose();
  delete model.lora;
  disposeRotaryTables(model);
}
