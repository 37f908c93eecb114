import { floatWeight, matMul, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import {
  type Adaptable,
  endsIn,
  isWithin,
  linearModules,
  loraArchitecture,
  wholeParameters,
} from "./lora-architecture.ts";
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
  /** Parameters that are trained whole, by the names of those of the base in whose place they stand. */
  whole: Map<string, tf.Variable>;
  enabled: boolean;
  /** Whether ΔW has been added to the weights. */
  merged: boolean;
  /** The base's parameters in whose place those trained whole are, while the adapter is merged. */
  replaced: Map<string, tf.Tensor>;
}

export interface LoraConfig {
  rank: number;
  alpha: number;
  /** Last components of the modules' names, such as `q_proj`. */
  targets: string[];
  /** Scales by alpha / √rank rather than alpha / rank. */
  rankStabilised: boolean;
  /** Share of a module's inputs that its adapter does without, each time anew, while `withDropout` trains. */
  dropout: number;
  /** Last components of modules that are trained whole beside the adapter: of an encoder its head, which is a task's own. */
  modulesToSave: string[];
  /** Path or name of the base model, for the adapter's readers. */
  baseModel?: string;
}

export interface LoraOptions extends Partial<LoraConfig> {
  /** Of A's random start; 0 by default. */
  seed?: number | string;
}

function complete(model: Adaptable, options: LoraOptions): LoraConfig {
  const architecture = loraArchitecture(model);
  const rank = options.rank ?? 8;
  const { alpha = 2 * rank, rankStabilised = false, dropout = 0, baseModel } = options;
  const { targets = architecture.targets, modulesToSave = architecture.modulesToSave } = options;
  if (!Number.isInteger(rank) || rank < 1 || rank > 65536)
    throw new RangeError(`LoRA's rank must be a positive integer, got ${rank}`);
  if (!Number.isFinite(alpha)) throw new RangeError(`LoRA's alpha must be finite, got ${alpha}`);
  if (!(dropout >= 0 && dropout < 1))
    throw new RangeError(`LoRA's dropout must be in [0, 1), got ${dropout}`);
  if (targets.length === 0) throw new RangeError("LoRA needs at least one target module");
  return {
    ...{ rank, alpha, targets, rankStabilised, dropout, modulesToSave },
    ...(baseModel !== undefined && { baseModel }),
  };
}

/** The values of A and B of one module, and the rank that they have. */
export interface LoraValues {
  a: Float32Array;
  b: Float32Array;
  rank: number;
}

/** What an adapter starts from. */
export interface LoraStart {
  config: LoraConfig;
  modules: Iterable<[string, [number, number]]>;
  valuesOf(module: string, shape: [number, number]): LoraValues;
  /** Values of the parameters that are trained whole; the base's own where there are none. */
  wholeValues?: ReadonlyMap<string, Float32Array>;
}

const variableOf = (data: Float32Array, shape: number[]): tf.Variable =>
  tf.tidy(() => tf.variable(tf.tensor(data, shape)));

/** Attaches adapters with given values to modules; the base becomes frozen. */
export function attachAdapters(
  model: Adaptable,
  { config, modules, valuesOf, wholeValues }: LoraStart,
): void {
  if (model.lora) throw new Error("the model has a LoRA adapter already; merge or detach it first.");
  const { conv1d } = loraArchitecture(model);
  const lora: Lora = {
    ...{ config, parameters: new Map(), adapters: new Map(), whole: new Map(), replaced: new Map() },
    ...{ enabled: true, merged: false },
  };
  for (const [module, [outputs, inputs]] of modules) {
    const values = valuesOf(module, [outputs, inputs]);
    const a = variableOf(values.a, [values.rank, inputs]);
    const b = variableOf(values.b, [outputs, values.rank]);
    const scaling = config.alpha / (config.rankStabilised ? Math.sqrt(values.rank) : values.rank);
    const delta = () =>
      tf.tidy(() => {
        const product = conv1d ? matMul(a, b, { transposeA: true, transposeB: true }) : matMul(b, a);
        return tf.mul(product, scaling);
      });
    lora.adapters.set(module, { a, b, scaling, delta });
    lora.parameters.set(loraParameterName(model, module, "A"), a);
    lora.parameters.set(loraParameterName(model, module, "B"), b);
  }
  for (const name of wholeParameters(model, config.modulesToSave)) {
    const base = model.parameters.get(name)!;
    const given = wholeValues?.get(name);
    const variable = given
      ? variableOf(given, base.shape)
      : tf.tidy(() => tf.variable(tf.mul(floatWeight(base), 1)));
    lora.whole.set(name, variable);
    lora.parameters.set(peftName(model, name), variable);
  }
  freeze(model);
  model.lora = lora;
}

/** The name of a module or parameter in PEFT's files. */
export function peftName(model: Adaptable, name: string): string {
  const { prefix } = loraArchitecture(model);
  return `base_model.model.${name.startsWith(prefix) ? name.slice(prefix.length) : name}`;
}

export const loraParameterName = (model: Adaptable, module: string, matrix: "A" | "B"): string =>
  `${peftName(model, module)}.lora_${matrix}.weight`;

/**
 * Attaches a new LoRA adapter (Hu et al. 2021, https://arxiv.org/abs/2106.09685): A uniform in ±1/√in, B zero, so that the
 * model computes what it did; the base weights become frozen tensors.
 *
 * Rank 8, alpha twice the rank and the architecture's attention projections, as in PEFT, are the defaults. An encoder's head is trained whole
 * beside it.
 *
 * @throws when no module's name ends in a target.
 */
export function addLora(model: Adaptable, options: LoraOptions = {}): void {
  const config = complete(model, options);
  // What is trained whole needs no adapter; PEFT leaves it out as well.
  const linear = [...linearModules(model)].filter(([module]) => !isWithin(module, config.modulesToSave));
  for (const target of config.targets)
    if (!linear.some(([module]) => endsIn(module, [target])))
      throw new Error(
        `no linear module of this ${model.config.modelType} model ends in "${target}"; the default is ${loraArchitecture(model).targets.join(", ")}.`,
      );
  for (const module of config.modulesToSave)
    if (wholeParameters(model, [module]).length === 0)
      throw new Error(
        `no module of this ${model.config.modelType} model ends in "${module}", so it can't be trained whole.`,
      );
  const draws = random(options.seed ?? 0).fork("lora");
  attachAdapters(model, {
    config,
    modules: linear.filter(([module]) => endsIn(module, config.targets)),
    valuesOf(module, [outputs, inputs]) {
      const bound = 1 / Math.sqrt(inputs);
      const uniform = draws.fork(module).uniform(config.rank * inputs);
      return {
        a: uniform.map((u) => bound * (2 * u - 1)),
        b: new Float32Array(outputs * config.rank),
        rank: config.rank,
      };
    },
  });
}
