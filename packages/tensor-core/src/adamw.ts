import * as tf from "@tensorflow/tfjs-core";
import { defineKernel } from "./kernel.ts";
import { checkShape } from "./shape-check.ts";

interface Attributes {
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  /** 1 − β₁ᵗ */
  correction1: number;
  /** 1 − β₂ᵗ */
  correction2: number;
  gradientScale: number;
}

type Inputs = { parameter: tf.Tensor; gradient: tf.Tensor; m: tf.Tensor; v: tf.Tensor };

/** FdivAdamW: one step of one parameter; parameter, m and v are variables changed in place; no output. */
export const adamWKernel = defineKernel<Inputs, Attributes>({
  name: "FdivAdamW",
  generic: ({ parameter, gradient, m, v }, attributes) => {
    const { learningRate, beta1, beta2, epsilon, weightDecay } = attributes;
    const g = tf.mul(gradient, attributes.gradientScale);
    const nextM = tf.add(tf.mul(m, beta1), tf.mul(g, 1 - beta1));
    const nextV = tf.add(tf.mul(v, beta2), tf.mul(tf.square(g), 1 - beta2));
    const deviation = tf.add(tf.div(tf.sqrt(nextV), Math.sqrt(attributes.correction2)), epsilon);
    const change = tf.mul(tf.div(nextM, deviation), learningRate / attributes.correction1);
    (m as tf.Variable).assign(nextM);
    (v as tf.Variable).assign(nextV);
    (parameter as tf.Variable).assign(tf.sub(tf.mul(parameter, 1 - learningRate * weightDecay), change));
    return [];
  },
});

/** FdivAdamWAll: a step of parameters p0, p1, … with gradients g0, …, moments m0, …, v0, …, and a decay each; in place; no output. */
export const adamWAllKernel = defineKernel<
  Record<string, tf.Tensor>,
  Omit<Attributes, "weightDecay"> & { weightDecays: readonly number[] }
>({
  name: "FdivAdamWAll",
  generic: (inputs, { weightDecays, ...attributes }) => {
    weightDecays.forEach((weightDecay, i) => {
      const [parameter, gradient, m, v] = ["p", "g", "m", "v"].map((kind) => inputs[`${kind}${i}`]!);
      const one = { parameter: parameter!, gradient: gradient!, m: m!, v: v! };
      adamWKernel(one, { ...attributes, weightDecay });
    });
    return [];
  },
});

export interface AdamWOptions {
  /** Default .001; a step may override it. */
  learningRate?: number;
  beta1?: number;
  beta2?: number;
  epsilon?: number;
  /** Default 0. */
  weightDecay?: number;
  /** Which parameters decay; default those of two axes or more: neither biases nor norm weights. */
  decays?: (name: string, shape: readonly number[]) => boolean;
}

export interface StepOptions {
  learningRate?: number;
  /**
   * Multiplies every gradient first: clipping, and the mean over accumulated batches. Zero, which clipping answers to a
   * gradient that is not finite, skips the step: nothing changes, and it does not count.
   */
  gradientScale?: number;
}

export interface OptimizerState {
  /** The moments by name, `m.<parameter>` and `v.<parameter>`: the live variables, not copies. */
  tensors: Map<string, tf.Tensor>;
  iteration: number;
}

export interface Optimizer {
  /** Changes each parameter that has a gradient, in place; the gradients stay the caller's to dispose of. */
  step(
    parameters: ReadonlyMap<string, tf.Variable>,
    gradients: ReadonlyMap<string, tf.Tensor>,
    options?: StepOptions,
  ): void;
  readonly iterations: number;
  state(): OptimizerState;
  /** Continues from a saved state, of which it takes copies; what it held before is freed. */
  load(state: { tensors: ReadonlyMap<string, tf.Tensor>; iteration: number }): void;
  dispose(): void;
}

/**
 * Adam with decoupled weight decay (Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101, algorithm 2):
 * p ← p·(1 − ηλ) − η·m̂ / (√v̂ + ε), each parameter in one pass over memory where the backend has the kernel.
 */
export function adamW(options: AdamWOptions = {}): Optimizer {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = options;
  const decays = options.decays ?? ((_name: string, shape: readonly number[]) => shape.length >= 2);
  const moments = new Map<string, tf.Variable>();
  let iteration = 0;

  const moment = (name: string, parameter: tf.Tensor): tf.Variable => {
    const known = moments.get(name);
    if (known) {
      checkShape("adamW", name, known, parameter.shape, "the parameter's shape");
      return known;
    }
    const fresh = tf.tidy(() => tf.variable(tf.zeros(parameter.shape), false));
    moments.set(name, fresh);
    return fresh;
  };

  const dispose = () => {
    for (const variable of moments.values()) variable.dispose();
    moments.clear();
    iteration = 0;
  };

  return {
    step(parameters, gradients, step = {}) {
      const { learningRate = options.learningRate ?? 1e-3, gradientScale = 1 } = step;
      if (gradientScale === 0) return;
      if (!Number.isFinite(gradientScale) || !Number.isFinite(learningRate)) {
        throw new Error(
          `adamW: learningRate ${learningRate} and gradientScale ${gradientScale} must be finite.`,
        );
      }
      const inputs: Record<string, tf.Tensor> = {};
      const weightDecays: number[] = [];
      for (const [name, gradient] of gradients) {
        const parameter = parameters.get(name);
        if (!parameter) throw new Error(`adamW: there is a gradient for ${name}, but no such parameter.`);
        checkShape("adamW", `the gradient of ${name}`, gradient, parameter.shape, "the parameter's shape");
        const i = weightDecays.push(decays(name, parameter.shape) ? weightDecay : 0) - 1;
        inputs[`p${i}`] = parameter;
        inputs[`g${i}`] = gradient;
        inputs[`m${i}`] = moment(`m.${name}`, parameter);
        inputs[`v${i}`] = moment(`v.${name}`, parameter);
      }
      iteration++;
      if (weightDecays.length === 0) return;
      const corrections = { correction1: 1 - beta1 ** iteration, correction2: 1 - beta2 ** iteration };
      const settings = { learningRate, beta1, beta2, epsilon, ...corrections, gradientScale };
      adamWAllKernel(inputs, { ...settings, weightDecays });
    },
    get iterations() {
      return iteration;
    },
    state: () => ({ tensors: new Map(moments), iteration }),
    load(state) {
      const copies = new Map<string, tf.Variable>();
      for (const [name, tensor] of state.tensors) {
        if (!/^[mv]\./.test(name)) throw new Error(`adamW: ${name} is no moment; expected m.… or v.… names.`);
        copies.set(
          name,
          tf.tidy(() => tf.variable(tf.mul(tensor, 1), false)),
        );
      }
      dispose();
      for (const [name, copy] of copies) moments.set(name, copy);
      iteration = state.iteration;
    },
    dispose,
  };
}
