import { type AdamWOptions, adamW, clipByGlobalNormAsync, valueAndGradients } from "@fdiv/tensor-core";
import type * as tf from "@tensorflow/tfjs-core";
import { loadVariables, type Snapshot, saveTensors, tensorsUnder } from "./snapshot.ts";

export interface LearnerOptions extends AdamWOptions {
  /** The largest norm of a net's gradient; default 10. */
  clip?: number;
  /** Multiplies the learning rate in an iteration, counted from 0; default 1. */
  schedule?: (iteration: number) => number;
}

/** One net's parameters with their optimiser. */
export interface Learner {
  readonly parameters: ReadonlyMap<string, tf.Variable>;
  /** One clipped AdamW step with this net's part of the gradients; a norm that is not finite changes nothing. */
  step(
    gradients: ReadonlyMap<string, tf.Tensor>,
    iteration: number,
  ): Promise<{ norm: number; skipped: boolean }>;
  save(into: Snapshot): Promise<void>;
  load(from: Snapshot): void;
  dispose(): void;
}

/** @param name what its parameters are called by in gradients and snapshots, before a dot */
export function learner(
  name: string,
  parameters: ReadonlyMap<string, tf.Variable>,
  options: LearnerOptions = {},
): Learner {
  const { clip = 10, schedule = () => 1, learningRate = 1e-4, ...rest } = options;
  const optimizer = adamW({ learningRate, ...rest });
  return {
    parameters,
    async step(gradients, iteration) {
      const own = new Map(
        [...gradients]
          .filter(([key]) => key.startsWith(`${name}.`))
          .map(([key, gradient]) => [key.slice(name.length + 1), gradient]),
      );
      const { norm, scale } = await clipByGlobalNormAsync(own, clip);
      optimizer.step(parameters, own, {
        learningRate: learningRate * schedule(iteration),
        gradientScale: scale,
      });
      return { norm, skipped: scale === 0 };
    },
    async save(into) {
      const { tensors, iteration } = optimizer.state();
      await saveTensors(into, `${name}.`, parameters);
      await saveTensors(into, `optimizer.${name}.`, tensors);
      into.json[`optimizer.${name}`] = iteration;
    },
    load(from) {
      loadVariables(from, `${name}.`, parameters);
      const tensors = tensorsUnder(from, `optimizer.${name}.`);
      optimizer.load({ tensors, iteration: Number(from.json[`optimizer.${name}`] ?? 0) });
      for (const tensor of tensors.values()) tensor.dispose();
    },
    dispose: () => optimizer.dispose(),
  };
}

/**
 * The gradients of f with respect to several nets' parameters, by `net.parameter`. A variable that two nets share belongs to the first.
 *
 * @returns value and gradients; the caller disposes of both
 */
export function gradientsOf(
  f: () => tf.Scalar,
  nets: Record<string, ReadonlyMap<string, tf.Variable>>,
): { value: tf.Scalar; gradients: Map<string, tf.Tensor> } {
  const all = new Map<string, tf.Variable>();
  const seen = new Set<tf.Variable>();
  for (const [net, parameters] of Object.entries(nets))
    for (const [name, variable] of parameters) {
      if (seen.has(variable)) continue;
      seen.add(variable);
      all.set(`${net}.${name}`, variable);
    }
  return valueAndGradients(f, all);
}
