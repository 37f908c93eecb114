import { valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { dpgLoss } from "./estimator.ts";
import type { Policy } from "./policy.ts";

/** Adds gradients to those summed so far, in place; both are freed where they became a sum. */
export function addGradients(total: Map<string, tf.Tensor>, part: ReadonlyMap<string, tf.Tensor>): void {
  for (const [name, gradient] of part) {
    const before = total.get(name);
    total.set(name, before ? tf.add(before, gradient) : gradient);
    if (before) tf.dispose([before, gradient]);
  }
}

/** Σᵢ cᵢ·∇log π(xᵢ)/n, a chunk of samples at a time, and the log-probabilities met on the way. */
export async function policyGradient<X, C>(
  policy: Policy<X, C>,
  outcomes: readonly X[],
  contexts: readonly C[],
  coefficients: Float64Array,
  chunk: number,
): Promise<{ gradients: Map<string, tf.Tensor>; logProbs: Float64Array }> {
  const total = outcomes.length;
  const logProbs = new Float64Array(total);
  const gradients = new Map<string, tf.Tensor>();
  for (let from = 0; from < total; from += chunk) {
    const to = Math.min(total, from + chunk);
    let seen: tf.Tensor | undefined;
    const part = valueAndGradients(() => {
      const scored = policy.logProbs(outcomes.slice(from, to), contexts.slice(from, to));
      seen = tf.keep(tf.clone(scored));
      return tf.div(tf.sum(dpgLoss(scored, coefficients.subarray(from, to))), total) as tf.Scalar;
    }, policy.parameters);
    part.value.dispose();
    logProbs.set(await seen!.data(), from);
    seen!.dispose();
    addGradients(gradients, part.gradients);
  }
  return { gradients, logProbs };
}
