import { disposeParameters, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { CheckpointTensor } from "./checkpoint.ts";
import type { ParameterSpec } from "./family.ts";
import { type HoldOptions, storedWeight } from "./weight-storage.ts";

/** A parameter in memory: a Variable that owns its memory, or a kept tensor. */
export function hold(
  values: Float32Array,
  shape: number[],
  { trainable = true, storage }: HoldOptions,
): tf.Tensor {
  const tensor = storedWeight(values, shape, trainable ? "float32" : storage);
  return trainable ? toVariable(tensor) : tensor;
}

/** The tensor as a Variable; the tensor is freed. */
export function toVariable(tensor: tf.Tensor): tf.Variable {
  const variable = tf.variable(tensor);
  tensor.dispose();
  return variable;
}

/** The variable as a plain tensor; the variable is freed. */
export function toTensor(variable: tf.Tensor): tf.Tensor {
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

/** New parameters as their specs say, each drawn from (seed, name) alone. */
export function initialParameters(
  specs: ReadonlyMap<string, ParameterSpec>,
  { seed, ...options }: { seed: number | string } & HoldOptions,
): Map<string, tf.Tensor> {
  const parameters = new Map<string, tf.Tensor>();
  for (const [name, spec] of specs)
    parameters.set(name, hold(initialValues(name, spec, seed), spec.shape, options));
  return parameters;
}

/** A checkpoint's tensors in memory, one read at a time; none is left where reading fails. */
export async function readParameters(
  tensors: Iterable<CheckpointTensor>,
  options: HoldOptions,
): Promise<Map<string, tf.Tensor>> {
  const parameters = new Map<string, tf.Tensor>();
  try {
    for (const { name, shape, read } of tensors) parameters.set(name, hold(await read(), shape, options));
  } catch (error) {
    disposeParameters(parameters);
    throw error;
  }
  return parameters;
}
