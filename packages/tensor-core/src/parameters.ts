import * as tf from "@tensorflow/tfjs-core";
import { isHalfWeight, weightShape } from "./half-weights.ts";

/** Parameters by name; a frozen one is a plain tensor, a trainable one a tf.Variable. */
export type Parameters<T extends tf.Tensor = tf.Tensor> = Map<string, T>;

/** Which names: all that match an expression, that pass a test, or that equal or match a pattern in which `*` stands for any run of characters. */
export type NamePattern = string | RegExp | ((name: string) => boolean);

function matcher(pattern: NamePattern): (name: string) => boolean {
  if (typeof pattern === "function") return pattern;
  if (typeof pattern !== "string") return (name) => name.search(pattern) >= 0;
  const literal = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const expression = new RegExp(`^${literal.join(".*")}$`);
  return (name) => expression.test(name);
}

/** The parameters whose names match; the tensors themselves, not copies. */
export function selectParameters<T extends tf.Tensor>(
  parameters: ReadonlyMap<string, T>,
  pattern: NamePattern,
): Parameters<T> {
  const matches = matcher(pattern);
  return new Map([...parameters].filter(([name]) => matches(name)));
}

/** The trainable parameters: those that are tf.Variables. */
export function trainableParameters(parameters: ReadonlyMap<string, tf.Tensor>): Parameters<tf.Variable> {
  const trainable = new Map<string, tf.Variable>();
  for (const [name, tensor] of parameters) if (tensor instanceof tf.Variable) trainable.set(name, tensor);
  return trainable;
}

/** Tensors that are there under two names, as a tied head is, count once. */
const distinct = (parameters: ReadonlyMap<string, tf.Tensor>): tf.Tensor[] => [
  ...new Set(parameters.values()),
];

/** How many numbers the parameters hold; a tensor under two names counts once. */
export function countParameters(parameters: ReadonlyMap<string, tf.Tensor>): number {
  return distinct(parameters).reduce((sum, tensor) => sum + tf.util.sizeFromShape(weightShape(tensor)), 0);
}

/** How many bytes of memory the parameters take; a tensor under two names counts once. */
export function parameterBytes(parameters: ReadonlyMap<string, tf.Tensor>): number {
  return distinct(parameters).reduce(
    (sum, tensor) => sum + tensor.size * tf.util.bytesPerElement(tensor.dtype),
    0,
  );
}

/** Of a bfloat16 weight another handle: nothing changes it in place. */
const copyOf = (tensor: tf.Tensor): tf.Tensor =>
  isHalfWeight(tensor) ? tf.clone(tensor) : tf.mul(tensor, tf.scalar(1, tensor.dtype));

/**
 * Frozen copies of the parameters, in memory of their own: a clone would share it with a variable that an optimiser
 * changes in place. A tensor under two names is copied once.
 */
export function copyParameters(parameters: ReadonlyMap<string, tf.Tensor>): Parameters {
  const copies = new Map<tf.Tensor, tf.Tensor>();
  const copied = new Map<string, tf.Tensor>();
  for (const [name, tensor] of parameters) {
    const copy = copies.get(tensor) ?? tf.tidy(() => tf.keep(copyOf(tensor)));
    copies.set(tensor, copy);
    copied.set(name, copy);
  }
  return copied;
}

/** Frees the parameters' memory. */
export function disposeParameters(parameters: ReadonlyMap<string, tf.Tensor>): void {
  for (const tensor of distinct(parameters)) tensor.dispose();
}
