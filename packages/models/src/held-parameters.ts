import { disposeParameters, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { CheckpointTensor } from "./checkpoint.ts";
import type { ParameterSpec } from "./family.ts";
import { type HoldOptions, storedWeight, type WeightValues } from "./weight-storage.ts";

/** A parameter in memory: a Variable that owns its memory, or a kept tensor. */
export function hold(
  values: WeightValues,
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

/** How one parameter is held. */
const heldAs = ({ storage, ...options }: HoldOptions, isFloat32: boolean): HoldOptions =>
  storage === undefined || isFloat32 ? options : { ...options, storage };

/**
 * New parameters as their specs say, each drawn from (seed, name) alone.
 *
 * @param isFloat32 which are float32 whatever the storage
 */
export function initialParameters(
  specs: ReadonlyMap<string, ParameterSpec>,
  { seed, ...options }: { seed: number | string } & HoldOptions,
  isFloat32: (name: string) => boolean = () => false,
): Map<string, tf.Tensor> {
  const parameters = new Map<string, tf.Tensor>();
  for (const [name, spec] of specs) {
    const values = initialValues(name, spec, seed);
    parameters.set(name, hold(values, spec.shape, heldAs(options, isFloat32(name))));
  }
  return parameters;
}

/** The tensors' values in order, each read while the one before it is put to use. */
async function* readAhead(
  tensors: Iterable<CheckpointTensor>,
): AsyncGenerator<{ tensor: CheckpointTensor; values: WeightValues }> {
  const start = (tensor: CheckpointTensor) => {
    const reading = Promise.resolve<WeightValues>(tensor.readBfloat16?.() ?? tensor.read());
    // Failing before it is waited for is no failure of its own.
    reading.catch(() => {});
    return { tensor, reading };
  };
  type Started = ReturnType<typeof start>;
  const read = async ({ tensor, reading }: Started) => ({ tensor, values: await reading });
  let ahead: Started | undefined;
  try {
    for (const tensor of tensors) {
      const before = ahead;
      ahead = start(tensor);
      if (before) yield await read(before);
    }
    if (ahead) yield await read(ahead);
  } finally {
    await ahead?.reading.catch(() => {});
  }
}

/**
 * A checkpoint's tensors in memory, at most two of them read and not yet held; none is left where reading fails.
 *
 * @param isFloat32 which are float32 whatever the storage
 */
export async function readParameters(
  tensors: Iterable<CheckpointTensor>,
  options: HoldOptions,
  isFloat32: (name: string) => boolean = () => false,
): Promise<Map<string, tf.Tensor>> {
  const parameters = new Map<string, tf.Tensor>();
  try {
    for await (const { tensor, values } of readAhead(tensors)) {
      const { name, shape } = tensor;
      parameters.set(name, hold(values, shape, heldAs(options, isFloat32(name))));
    }
  } catch (error) {
    disposeParameters(parameters);
    throw error;
  }
  return parameters;
}
