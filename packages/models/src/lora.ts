import { floatWeight, matMul, random, weightShape } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { CausalLm } from "./causal-lm.ts";
import { familyOf } from "./families.ts";
import { freeze } from "./parameterised.ts";

/** The adapter of one linear module: ΔW = scaling·B·A. */
export interface LoraAdapter {
  /** [rank, in] */
  a: tf.Variable;
  /** [out, rank] */
  b: tf.Variable;
  /** alpha / rank, or alpha / √rank with rank-stabilised scaling (Kalajdzievski 2023, https://arxiv.org/abs/2312.03732). */
  scaling: number;
  /** ΔW in the layout of the module's weight. */
  delta(): tf.Tensor;
}

/** An adapter attached to a model. */
export interface Lora {
  config: LoraConfig;
  /** Trainable, by the names of PEFT's file format. */
  parameters: Map<string, tf.Variable>;
  /** By module, such as `model.layers.0.self_attn.q_proj`. */
  adapters: Map<string, LoraAdapter>;
  enabled: boolean;
  /** Whether ΔW has been added to the weights. */
  merged: boolean;
}

export interface LoraConfig {
  rank: number;
  alpha: number;
  /** Last components of the modules' names, such as `q_proj`. */
  targets: string[];
  /** Scales by alpha / √rank rather than alpha / rank. */
  rankStabilised: boolean;
  /** Path or name of the base model, for the adapter's readers. */
  baseModel?: string;
}

export interface LoraOptions extends Partial<LoraConfig> {
  /** Of A's random start; 0 by default. */
  seed?: number | string;
}

const prefix = "base_model.model.";

export const loraParameterName = (module: string, matrix: "A" | "B"): string =>
  `${prefix}${module}.lora_${matrix}.weight`;

const literally = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** The linear modules whose names end in a target, and [out, in] of each. */
export function targetModules(model: CausalLm, targets: string[]): Map<string, [number, number]> {
  const family = familyOf(model.config.modelType);
  const ends = new RegExp(`(^|\\.)(${targets.map(literally).join("|")})$`);
  const modules = new Map<string, [number, number]>();
  for (const [name, tensor] of model.parameters) {
    const shape = weightShape(tensor);
    if (!name.endsWith(".weight") || shape.length !== 2) continue;
    const module = name.slice(0, -".weight".length);
    if (!/\.(layers|h)\.\d+\./.test(module) || !ends.test(module)) continue;
    const [rows, columns] = shape as [number, number];
    modules.set(module, family.conv1d ? [columns, rows] : [rows, columns]);
  }
  return modules;
}

function complete(model: CausalLm, options: LoraOptions): LoraConfig {
  const rank = options.rank ?? 8;
  const { alpha = 2 * rank, rankStabilised = false, baseModel } = options;
  const targets = options.targets ?? familyOf(model.config.modelType).loraTargets;
  if (!Number.isInteger(rank) || rank < 1 || rank > 65536)
    throw new RangeError(`LoRA's rank must be a positive integer, got ${rank}`);
  if (!Number.isFinite(alpha)) throw new RangeError(`LoRA's alpha must be finite, got ${alpha}`);
  if (targets.length === 0) throw new RangeError("LoRA needs at least one target module");
  return { rank, alpha, targets, rankStabilised, ...(baseModel !== undefined && { baseModel }) };
}

/** The values of A and B of one module, and the rank that they have. */
export interface LoraValues {
  a: Float32Array;
  b: Float32Array;
  rank: number;
}

/** Attaches adapters with given values to modules; the base becomes frozen. */
export function attachAdapters(
  model: CausalLm,
  config: LoraConfig,
  modules: Map<string, [number, number]>,
  valuesOf: (module: string, shape: [number, number]) => LoraValues,
): void {
  if (model.lora) throw new Error("the model has a LoRA adapter already; merge or detach it first.");
  const { conv1d } = familyOf(model.config.modelType);
  const lora: Lora = { config, parameters: new Map(), adapters: new Map(), enabled: true, merged: false };
  for (const [module, [outputs, inputs]] of modules) {
    const values = valuesOf(module, [outputs, inputs]);
    const make = (data: Float32Array, shape: [number, number]): tf.Variable =>
      tf.tidy(() => tf.variable(tf.tensor2d(data, shape)));
    const a = make(values.a, [values.rank, inputs]);
    const b = make(values.b, [outputs, values.rank]);
    const scaling = config.alpha / (config.rankStabilised ? Math.sqrt(values.rank) : values.rank);
    const delta = () =>
      tf.tidy(() => {
        const product = conv1d ? matMul(a, b, { transposeA: true, transposeB: true }) : matMul(b, a);
        return tf.mul(product, scaling);
      });
    lora.adapters.set(module, { a, b, scaling, delta });
    lora.parameters.set(loraParameterName(module, "A"), a);
    lora.parameters.set(loraParameterName(module, "B"), b);
  }
  freeze(model);
  model.lora = lora;
}

/**
 * Attaches a new LoRA adapter (Hu et al. 2021, https://arxiv.org/abs/2106.09685): A uniform in ±1/√in, B zero, so that the
 * model computes what it did; the base weights become frozen tensors.
 *
 * Rank 8, alpha twice the rank and the family's attention projections are the defaults.
 *
 * @throws when no module's name ends in a target.
 */
export function addLora(model: CausalLm, options: LoraOptions = {}): void {
  const config = complete(model, options);
  const modules = targetModules(model, config.targets);
  for (const target of config.targets)
    if (targetModules(model, [target]).size === 0)
      throw new Error(
        `no linear module of this ${model.config.modelType} model ends in "${target}"; the default is ${familyOf(model.config.modelType).loraTargets.join(", ")}.`,
      );
  const draws = random(options.seed ?? 0).fork("lora");
  attachAdapters(model, config, modules, (module, [outputs, inputs]) => {
    const bound = 1 / Math.sqrt(inputs);
    const uniform = draws.fork(module).uniform(config.rank * inputs);
    return {
      a: uniform.map((u) => bound * (2 * u - 1)),
      b: new Float32Array(outputs * config.rank),
      rank: config.rank,
    };
  });
}

/** Adds ±ΔW to every adapted weight. */
function addDeltas(model: CausalLm, lora: Lora, sign: 1 | -1): void {
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
export function loraOf(model: CausalLm): Lora {
  if (!model.lora) throw new Error("the model has no LoRA adapter.");
  return model.lora;
}

/** Adds the adapter's ΔW to the weights, W + scaling·B·A, so that using it costs nothing; `unmergeLora` takes it back. Weights in bfloat16 become float32. */
export function mergeLora(model: CausalLm): void {
  const lora = loraOf(model);
  if (lora.merged) return;
  addDeltas(model, lora, 1);
  lora.merged = true;
}

/** Subtracts a merged adapter's ΔW from the weights again, exact to float32's rounding. */
export function unmergeLora(model: CausalLm): void {
  const lora = loraOf(model);
  if (!lora.merged) return;
  addDeltas(model, lora, -1);
  lora.merged = false;
}

/** Takes the adapter off and frees it; a merged one stays in the weights, which can then be saved as a whole model. */
export function detachLora(model: CausalLm): void {
  for (const variable of loraOf(model).parameters.values()) variable.dispose();
  delete model.lora;
}

/**
 * Runs f with the adapter switched off, so that the model is its own reference.
 *
 * @throws when the adapter is merged, for then the base is not at hand.
 */
export function withoutAdapter<T>(model: CausalLm, f: () => T): T {
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
