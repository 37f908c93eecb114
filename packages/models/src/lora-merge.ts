import { floatWeight } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Lora } from "./lora.ts";
import type { Parameterised } from "./parameterised.ts";

/** Adds ±ΔW to every adapted weight. */
function addDeltas(model: Parameterised, lora: Lora, sign: 1 | -1): void {
  for (const [module, adapter] of lora.adapters) {
    const name = `${module}.weight`;
    const before = model.parameters.get(name)!;
    const after = tf.tidy(() => {
      const delta = adapter.delta();
      const weight = floatWeight(before);
      return tf.keep(sign === 1 ? tf.add(weight, delta) : tf.sub(weight, delta));
    });
    model.parameters.set(name, after);
    before.dispose();
  }
}

/** The model's adapter. @throws when it has none. */
export function loraOf(model: Parameterised): Lora {
  if (!model.lora) throw new Error("the model has no LoRA adapter.");
  return model.lora;
}

/**
 * Adds the adapter's ΔW to the weights, W + scaling·B·A, and puts what was trained whole in its place, so that using it costs nothing;
 * `unmergeLora` takes it back. Weights in bfloat16 become float32.
 */
export function mergeLora(model: Parameterised): void {
  const lora = loraOf(model);
  if (lora.merged) return;
  addDeltas(model, lora, 1);
  for (const [name, variable] of lora.whole) {
    lora.replaced.set(name, model.parameters.get(name)!);
    model.parameters.set(
      name,
      tf.tidy(() => tf.keep(tf.mul(variable, 1))),
    );
  }
  lora.merged = true;
}

/** Subtracts a merged adapter's ΔW from the weights again, exact to float32's rounding. */
export function unmergeLora(model: Parameterised): void {
  const lora = loraOf(model);
  if (!lora.merged) return;
  addDeltas(model, lora, -1);
  for (const [name, base] of lora.replaced) {
    model.parameters.get(name)!.dispose();
    model.parameters.set(name, base);
  }
  lora.replaced.clear();
  lora.merged = false;
}

/** Takes the adapter off and frees it; a merged one stays in the weights, which can then be saved as a whole model. */
export function detachLora(model: Parameterised): void {
  disposeLora(loraOf(model));
  delete model.lora;
}

/** Frees an adapter's memory. */
export function disposeLora({ parameters, replaced }: Lora): void {
  for (const variable of parameters.values()) variable.dispose();
  for (const base of replaced.values()) base.dispose();
}

/**
 * Runs f with the adapter switched off, so that the model is its own reference.
 *
 * @throws when the adapter is merged, for then the base is not at hand.
 */
export function withoutAdapter<T>(model: Parameterised, f: () => T): T {
  const lora = loraOf(model);
  if (lora.merged) throw new Error("the LoRA adapter is merged; unmerge it before using the base model.");
  const before = lora.enabled;
  lora.enabled = false;
  const restore = () => {
    lora.enabled = before;
  };
  let result: T;
  try {
    result = f();
  } catch (error) {
    restore();
    throw error;
  }
  if (result instanceof Promise) return result.finally(restore) as T;
  restore();
  return result;
}
