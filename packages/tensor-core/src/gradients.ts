import * as tf from "@tensorflow/tfjs-core";
import { printShape } from "./shape-check.ts";
import { canRecord, record, type TapeNode } from "./tape.ts";

/** Frees what an operation saved for its gradient. */
const release = (node: TapeNode): void => {
  for (const tensor of node.saved ?? []) tensor.dispose();
};

/** The ids of the tensors that depend on one of the sources. */
function reached(tape: readonly TapeNode[], sources: readonly tf.Tensor[]): Set<number> {
  const ids = new Set(sources.map((tensor) => tensor.id));
  for (const { inputs, outputs } of tape) {
    if (Object.values(inputs).some((input) => ids.has(input.id))) for (const { id } of outputs) ids.add(id);
  }
  return ids;
}

/** One operation's gradients with respect to those of its inputs that depend on a parameter, by tensor id. */
function nodeGradients(
  node: TapeNode,
  dys: (tf.Tensor | null)[],
  dependent: ReadonlySet<number>,
): [number, tf.Tensor][] {
  if (!node.gradient) throw new Error(`valueAndGradients: ${node.kernelName} has no gradient.`);
  const closures = node.gradient(dys);
  // A gradient handed through unchanged, or twice, or that was saved, needs a handle of its own: each is freed on its own.
  const taken = new Set<tf.Tensor | null>([...dys, ...(node.saved ?? [])]);
  return Object.entries(node.inputs)
    .filter(([, input]) => dependent.has(input.id))
    .map(([name, input]) => {
      const closure = closures[name];
      if (!closure) throw new Error(`valueAndGradients: ${node.kernelName} has no gradient for its ${name}.`);
      const dx = tf.tidy(closure);
      const own = taken.has(dx) ? tf.clone(dx) : dx;
      taken.add(own);
      return [input.id, own];
    });
}

/**
 * Walks the tape back. Unlike TensorFlow.js' own walk it frees each operation's saved tensors and upstream gradients as
 * soon as they have been used, so that memory falls during the backward pass instead of rising.
 */
export function walkBack(
  tape: TapeNode[],
  gradients: Map<number, tf.Tensor>,
  sources: readonly tf.Tensor[],
): void {
  const wanted = new Set(sources.map(({ id }) => id));
  const dependent = reached(tape, sources);
  for (let last = tape.at(-1); last; last = tape.at(-1)) {
    const node = last;
    const dys = node.outputs.map(({ id }) => gradients.get(id) ?? null);
    if (dys.some(Boolean) && Object.values(node.inputs).some(({ id }) => dependent.has(id))) {
      for (const [id, dx] of tf.tidy(() => nodeGradients(node, dys, dependent))) {
        const before = gradients.get(id);
        gradients.set(id, before ? tf.add(before, dx) : dx);
        if (before) tf.dispose([before, dx]);
      }
    }
    release(node);
    tape.pop();
    for (const { id } of node.outputs) {
      if (wanted.has(id)) continue;
      gradients.get(id)?.dispose();
      gradients.delete(id);
    }
  }
}

function ownBackward(f: () => tf.Scalar, variables: tf.Variable[]) {
  const { value, tape } = record(f);
  const gradients = new Map<number, tf.Tensor>([[value.id, tf.ones(value.shape)]]);
  try {
    if (value.rank !== 0) {
      throw new Error(`valueAndGradients: f returned shape ${printShape(value.shape)}, expected a scalar.`);
    }
    walkBack(tape, gradients, variables);
    const found = variables.map(({ id }) => gradients.get(id));
    if (!found.some(Boolean)) throw new Error("valueAndGradients: no parameter influences the value.");
    return { value, found };
  } catch (error) {
    tape.forEach(release);
    tf.dispose([value, ...gradients.values()]);
    throw error;
  }
}

/** TensorFlow.js' own walk, for a gradient inside another one. */
function nestedBackward(f: () => tf.Scalar, variables: tf.Variable[]) {
  const { value, grads } = tf.variableGrads(f, variables);
  return { value, found: variables.map(({ name }) => grads[name] ?? undefined) };
}

/**
 * A scalar function's value and its gradients with respect to named variables.
 *
 * Everything f makes is freed but what the gradients need, and that as the backward pass goes; wrap each layer of a deep f
 * in `tf.tidy`, and the forward pass holds no more than that either.
 *
 * @param f builds the scalar from the variables
 * @param parameters the variables; one that does not influence the value has no entry in the result
 * @returns the value and the gradients by name; the caller disposes of both
 * @throws when there is no variable, none influences the value, or the value is no scalar
 */
export function valueAndGradients(
  f: () => tf.Scalar,
  parameters: ReadonlyMap<string, tf.Variable>,
): { value: tf.Scalar; gradients: Map<string, tf.Tensor> } {
  if (parameters.size === 0) throw new Error("valueAndGradients: there is no parameter to differentiate by.");
  const variables = [...new Set(parameters.values())];
  const { value, found } = canRecord() ? ownBackward(f, variables) : nestedBackward(f, variables);
  const gradients = new Map<string, tf.Tensor>();
  for (const [name, variable] of parameters) {
    const gradient = found[variables.indexOf(variable)];
    if (gradient) gradients.set(name, gradient);
  }
  return { value, gradients };
}
