import * as tf from "@tensorflow/tfjs-core";

/** θ̄ ← β·θ̄ + (1 − β)·θ with a fixed β, or Karras' power profile with β = (1 − 1/t)^{γ+1}. */
export type EmaOptions =
  | {
      kind: "fixed" /** β, in [0, 1). */;
      decay: number /** β rises as min(β, (1 + t)/(10 + t)) first; default true. */;
      warmUp?: boolean;
    }
  | {
      kind: "power" /** σ_rel, the profile's width relative to the training's length; EDM2 uses .05 to .1. */;
      width: number;
    };

export interface Ema {
  /** The averages by name: the live tensors, replaced by each update. */
  readonly parameters: ReadonlyMap<string, tf.Tensor>;
  readonly updates: number;
  /** Takes the parameters' present values in. */
  update(parameters: ReadonlyMap<string, tf.Tensor>): void;
  load(state: { tensors: ReadonlyMap<string, tf.Tensor>; updates: number }): void;
  dispose(): void;
}

/**
 * γ of the power profile whose width is σ_rel: the positive root of (γ + 1)/((γ + 2)²(γ + 3)) = σ_rel² (Karras et al. 2024, https://arxiv.org/abs/2312.02696,
 * equation 127).
 *
 * @throws RangeError unless 0 < width < √(1/12), the width of the plain mean
 */
export function powerExponent(width: number): number {
  if (!(width > 0 && width < Math.sqrt(1 / 12)))
    throw new RangeError(`ema: the width is ${width}, expected a number between 0 and √(1/12) = .2887.`);
  const excess = (gamma: number) => (gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3)) - width ** 2;
  let [low, high] = [0, 1];
  while (excess(high) > 0) high *= 2;
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (excess(middle) > 0) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function decayAt(options: EmaOptions): (update: number) => number {
  if (options.kind === "power") {
    const gamma = powerExponent(options.width);
    return (t) => (1 - 1 / t) ** (gamma + 1);
  }
  const { decay, warmUp = true } = options;
  if (!(decay >= 0 && decay < 1))
    throw new RangeError(`ema: the decay is ${decay}, expected a number in [0, 1).`);
  // The first value is taken whole: an average that starts at nothing would be biased.
  return (t) => (t === 1 ? 0 : warmUp ? Math.min(decay, (1 + t) / (10 + t)) : decay);
}

/** An exponential moving average of named parameters; the first update takes them as they are. */
export function ema(options: EmaOptions): Ema {
  const decay = decayAt(options);
  let averages = new Map<string, tf.Tensor>();
  let updates = 0;
  const dispose = () => {
    for (const tensor of averages.values()) tensor.dispose();
    averages = new Map();
    updates = 0;
  };
  return {
    get parameters() {
      return averages;
    },
    get updates() {
      return updates;
    },
    update(parameters) {
      updates++;
      const beta = decay(updates);
      for (const [name, value] of parameters) {
        const before = averages.get(name);
        // A copy in memory of its own: an optimiser changes variables in place.
        const next = tf.tidy(() =>
          before ? tf.add(tf.mul(beta, before), tf.mul(1 - beta, value)) : tf.mul(value, 1),
        );
        before?.dispose();
        averages.set(name, next);
      }
    },
    load(state) {
      const copies = new Map(
        [...state.tensors].map(([name, tensor]) => [name, tf.tidy(() => tf.mul(tensor, 1))]),
      );
      dispose();
      averages = copies;
      updates = state.updates;
    },
    dispose,
  };
}
