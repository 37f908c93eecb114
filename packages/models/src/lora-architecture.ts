import { weightShape } from "@fdiv/tensor-core";
import type { CausalLm } from "./causal-lm.ts";
import type { Encoder } from "./encoders/encoder.ts";
import { encoderFamilies, encoderFamilyOf } from "./encoders/encoder-families.ts";
import { headModules } from "./encoders/encoder-parameters.ts";
import { familyOf } from "./families.ts";
import { isT5, type T5 } from "./t5/t5-model.ts";

/** A model that an adapter can be put on. */
export type Adaptable = CausalLm | Encoder | T5;

/** What a LoRA adapter must know of a model's architecture. */
export interface LoraArchitecture {
  /** PEFT's `task_type`. */
  taskType: "CAUSAL_LM" | "SEQ_CLS" | "FEATURE_EXTRACTION" | "SEQ_2_SEQ_LM";
  /** Whether weights are [in, out], as GPT-2's Conv1D keeps them. */
  conv1d: boolean;
  /** Last components of the modules that are adapted by default, as in PEFT. */
  targets: string[];
  /** Modules that are trained whole beside the adapter by default, PEFT's `modules_to_save`: the head of a task, which the base does not know. */
  modulesToSave: string[];
  /** Whether a matrix belongs to a linear module that an adapter can change. */
  isLinear(module: string): boolean;
  /** What the family's names begin with here and not in PEFT's files: Hugging Face's bare encoders lack it. */
  prefix: string;
}

const isEncoder = (model: Adaptable): model is Encoder =>
  Object.hasOwn(encoderFamilies, model.config.modelType);

function ofEncoder({ config }: Encoder): LoraArchitecture {
  const { names, head, loraTargets } = encoderFamilyOf(config.modelType);
  const ofHead = headModules(config);
  const layers = names.layer(0).replace(/0\.$/, "");
  return {
    taskType: config.head ? "SEQ_CLS" : "FEATURE_EXTRACTION",
    conv1d: false,
    targets: loraTargets,
    modulesToSave: config.head ? head.modulesToSave : [],
    isLinear: (module) => module.startsWith(layers) || ofHead.includes(module),
    prefix: config.head ? "" : names.prefix,
  };
}

/** What an adapter must know of a model. */
export function loraArchitecture(model: Adaptable): LoraArchitecture {
  if (isEncoder(model)) return ofEncoder(model);
  const plain = { modulesToSave: [], prefix: "" };
  if (isT5(model))
    return {
      ...plain,
      taskType: "SEQ_2_SEQ_LM",
      conv1d: false,
      targets: ["q", "v"],
      isLinear: (module) => /\.block\.\d+\./.test(module) && !module.endsWith(".relative_attention_bias"),
    };
  const { conv1d, loraTargets } = familyOf(model.config.modelType);
  return {
    ...plain,
    taskType: "CAUSAL_LM",
    conv1d,
    targets: loraTargets,
    isLinear: (module) => /\.(layers|h)\.\d+\./.test(module),
  };
}

/** Every linear module of a model, and [out, in] of each. */
export function linearModules(model: Adaptable): Map<string, [number, number]> {
  const { isLinear, conv1d } = loraArchitecture(model);
  const modules = new Map<string, [number, number]>();
  for (const [name, tensor] of model.parameters) {
    const shape = weightShape(tensor);
    if (!name.endsWith(".weight") || shape.length !== 2) continue;
    const module = name.slice(0, -".weight".length);
    if (!isLinear(module)) continue;
    const [rows, columns] = shape as [number, number];
    modules.set(module, conv1d ? [columns, rows] : [rows, columns]);
  }
  return modules;
}

/** Whether a module's name is one of these, or ends in one, as PEFT compares them. */
export const endsIn = (module: string, ends: readonly string[]): boolean =>
  ends.some((end) => module === end || module.endsWith(`.${end}`));

/** Whether a module is one of those that are trained whole, or within one. */
export const isWithin = (module: string, wholes: readonly string[]): boolean =>
  module.split(".").some((_, i, parts) => endsIn(parts.slice(0, i + 1).join("."), wholes));

/** The parameters of modules that are trained whole. */
export const wholeParameters = ({ parameters }: Adaptable, wholes: readonly string[]): string[] =>
  [...parameters.keys()].filter((name) => isWithin(name.slice(0, name.lastIndexOf(".")), wholes));
