import * as tf from "@tensorflow/tfjs-core";

type Inputs = Record<string, tf.Tensor | undefined>;
// biome-ignore lint/suspicious/noExplicitAny: attributes are checked by each kernel's own type.
type Attributes = Record<string, any>;

/** The computation of one kernel on one backend: tensor infos in, tensor infos out. */
export type KernelImplementation = (
  inputs: Record<string, tf.TensorInfo>,
  attributes: Attributes,
  backend: tf.KernelBackend,
) => tf.TensorInfo | tf.TensorInfo[];

export interface KernelDefinition<I extends Inputs, A extends object> {
  /** Starts with `Fdiv`, so that it never collides with a kernel of TensorFlow.js. */
  name: string;
  /** The twin for every backend: a composite of TensorFlow.js operations, never differentiated through. */
  generic(inputs: I, attributes: A): tf.Tensor | tf.Tensor[];
  /**
   * What the gradient needs. `run` gets the upstream gradients (one an output) and the saved tensors (inputs, then outputs) and
   * returns, for each differentiable input, a function that computes its gradient; only the asked ones are called.
   * What several of them share is computed in `run` itself, outside those functions.
   */
  gradient?: {
    inputs: (keyof I & string)[];
    outputs: boolean[];
    run(
      dys: tf.Tensor[],
      saved: tf.Tensor[],
      attributes: A,
    ): Partial<Record<keyof I & string, () => tf.Tensor>>;
  };
}

/** Runs one kernel on the current backend; its outputs come as an array, also a single one. */
export type Kernel<I extends Inputs, A extends object> = (inputs: I, attributes: A) => tf.Tensor[];

/** Whether an implementation can do a call; the generic twin does the others. */
export type KernelCondition = (inputs: Record<string, tf.TensorInfo>, attributes: never) => boolean;

const implementations = new Map<
  string,
  { compute: KernelImplementation; fits: KernelCondition | undefined }
>();
const registered = new Set<string>();
let genericOnly = false;

/** Gives a kernel a fast implementation on one backend; it may throw nothing and must compute what the twin does. */
export function implementKernel(
  name: string,
  backend: string,
  compute: KernelImplementation,
  fits?: KernelCondition,
): void {
  implementations.set(`${backend}/${name}`, { compute, fits });
}

/** Whether a kernel has an implementation of its own on a backend, rather than its generic twin. */
export function hasFastKernel(name: string, backend: string = tf.getBackend()): boolean {
  return implementations.has(`${backend}/${name}`);
}

/** Runs `f` on the generic twins alone, as the tests that hold a fast kernel against its twin do. */
export function withGenericKernels<T>(f: () => T): T {
  const before = genericOnly;
  genericOnly = true;
  try {
    return f();
  } finally {
    genericOnly = before;
  }
}

/**
 * Defines a kernel and returns the function that runs it on the current backend.
 *
 * The kernel is registered with TensorFlow.js under its name, so it appears in profiles and its gradient is found by the tape.
 */
export function defineKernel<I extends Inputs, A extends object>(
  definition: KernelDefinition<I, A>,
): Kernel<I, A> {
  const { name, generic, gradient } = definition;
  if (gradient) {
    tf.registerGradient({
      kernelName: name,
      inputsToSave: gradient.inputs,
      outputsToSave: gradient.outputs,
      gradFunc: (dy, saved, attributes) => {
        const dys = Array.isArray(dy) ? dy : [dy];
        return gradient.run(dys, saved, attributes as unknown as A) as Record<string, () => tf.Tensor>;
      },
    });
  }
  return (inputs, attributes) => {
    const backend = tf.getBackend();
    const key = `${backend}/${name}`;
    if (!registered.has(key)) {
      tf.registerKernel({
        kernelName: name,
        backendName: backend,
        kernelFunc: (call) => {
          const fast = genericOnly ? undefined : implementations.get(key);
          const inputs = call.inputs as Record<string, tf.TensorInfo>;
          const attributes = call.attrs ?? {};
          if (fast && (fast.fits?.(inputs, attributes as never) ?? true))
            return fast.compute(inputs, attributes, call.backend as tf.KernelBackend);
          const run = () => generic(call.inputs as unknown as I, (call.attrs ?? {}) as unknown as A);
          return tf.tidy(run as () => tf.Tensor[]);
        },
      });
      registered.add(key);
    }
    const given = Object.fromEntries(Object.entries(inputs).filter(([, tensor]) => tensor !== undefined));
    const out = tf
      .engine()
      .runKernel(name, given as tf.NamedTensorMap, attributes as unknown as tf.NamedAttrMap) as unknown as
      | tf.Tensor
      | tf.Tensor[];
    return Array.isArray(out) ? out : [out];
  };
}

/**
 * Runs a computation with one output and a gradient of its own; unlike `tf.customGrad`, each input's gradient is a
 * function that is called only when that gradient is asked, so what is frozen costs nothing.
 *
 * @param forward computes the output from the inputs; what the gradient needs goes through `save`
 * @param gradient gets the upstream gradient and the saved tensors
 */
export function lazyGradient<I extends Record<string, tf.Tensor>>(
  inputs: I,
  forward: (save: (tensors: tf.Tensor[]) => void) => tf.Tensor,
  gradient: (dy: tf.Tensor, saved: tf.Tensor[]) => Partial<Record<keyof I, () => tf.Tensor>>,
): tf.Tensor {
  // tf.customGrad is built on this method; it is missing from the public types only.
  const engine = tf.engine() as unknown as {
    runKernelFunc(call: {
      inputs: I;
      attrs: object;
      forwardFunc: (backend: tf.KernelBackend, save: (tensors: tf.Tensor[]) => void) => tf.Tensor;
      backwardsFunc: typeof gradient;
    }): tf.Tensor;
  };
  return engine.runKernelFunc({
    inputs,
    attrs: {},
    forwardFunc: (_backend, save) => forward(save),
    backwardsFunc: gradient,
  });
}
