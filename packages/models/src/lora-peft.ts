import { booleanField, type Json, numberField, objectField, stringField } from "./json-field.ts";
import { attachAdapters, type LoraConfig, loraParameterName, peftName } from "./lora.ts";
import {
  type Adaptable,
  isWithin,
  linearModules,
  loraArchitecture,
  wholeParameters,
} from "./lora-architecture.ts";
import { loraOf } from "./lora-merge.ts";

/** A tensor of an adapter file, at hand. */
export interface LoraTensor {
  shape: number[];
  data: Float32Array;
}

/** An adapter as PEFT's two files hold it. */
export interface LoraFiles {
  /** Content of `adapter_config.json`. */
  config: Json;
  /** Content of `adapter_model.safetensors`. */
  tensors: Map<string, LoraTensor>;
}

/** The model's adapter in PEFT's format. @throws when it has none. */
export async function loraState(model: Adaptable): Promise<LoraFiles> {
  const { config, parameters } = loraOf(model);
  const tensors = new Map<string, LoraTensor>();
  for (const [name, variable] of parameters)
    tensors.set(name, { shape: [...variable.shape], data: Float32Array.from(await variable.data()) });
  const { taskType, conv1d } = loraArchitecture(model);
  return {
    config: {
      peft_type: "LORA",
      task_type: taskType,
      base_model_name_or_path: config.baseModel ?? null,
      r: config.rank,
      lora_alpha: config.alpha,
      lora_dropout: config.dropout,
      target_modules: config.targets,
      use_rslora: config.rankStabilised,
      fan_in_fan_out: conv1d,
      bias: "none",
      modules_to_save: config.modulesToSave.length > 0 ? config.modulesToSave : null,
      inference_mode: true,
    },
    tensors,
  };
}

/** Options of PEFT that change what an adapter computes and that this package does not have. */
function refuseOthers(json: Json): void {
  const type = stringField(json, "peft_type", "LORA");
  if (type !== "LORA")
    throw new Error(`adapter_config.json: peft_type "${type}" is not supported, only LORA is.`);
  const bias = stringField(json, "bias", "none");
  if (bias !== "none")
    throw new Error(`adapter_config.json: bias "${bias}" is not supported, only "none" is.`);
  if (booleanField(json, "use_dora", false))
    throw new Error("adapter_config.json: use_dora is not supported.");
  for (const key of ["alpha_pattern", "rank_pattern"])
    if (Object.keys(objectField(json, key) ?? {}).length > 0)
      throw new Error(`adapter_config.json: ${key} is not supported.`);
}

/** A list of names, or one name; undefined where there is none. */
function namesField(json: Json, key: string): string[] | undefined {
  const value = json[key];
  if (value === undefined || value === null) return undefined;
  const names: unknown = typeof value === "string" ? [value] : value;
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string"))
    throw new Error(`adapter_config.json: ${key} must be a list of module names.`);
  return names;
}

/**
 * Reads an `adapter_config.json`.
 *
 * @throws when it asks for something that would change the result and is not supported.
 */
export function loraConfigFrom(json: Json): LoraConfig {
  refuseOthers(json);
  const targets = namesField(json, "target_modules");
  if (!targets) throw new Error("adapter_config.json: target_modules must be a list of module names.");
  const baseModel = stringField(json, "base_model_name_or_path", "");
  return {
    rank: numberField(json, "r"),
    alpha: numberField(json, "lora_alpha", 8),
    targets,
    rankStabilised: booleanField(json, "use_rslora", false),
    dropout: numberField(json, "lora_dropout", 0),
    modulesToSave: namesField(json, "modules_to_save") ?? [],
    ...(baseModel && { baseModel }),
  };
}

/** What an adapter file's tensors are of: pairs of matrices by module, and parameters that were trained whole. */
interface AdapterTensors {
  modules: Map<string, { A?: LoraTensor; B?: LoraTensor }>;
  whole: Map<string, LoraTensor>;
}

/** Tensors by what the model calls their modules and parameters. @throws on a name that is not one of LoRA's. */
function sortTensors(model: Adaptable, { modulesToSave }: LoraConfig, tensors: LoraFiles["tensors"]) {
  const { prefix } = loraArchitecture(model);
  const sorted: AdapterTensors = { modules: new Map(), whole: new Map() };
  for (const [name, tensor] of tensors) {
    const own = /^base_model\.model\.(.+)$/.exec(name)?.[1];
    const [, module, matrix] = /^(.+)\.lora_([AB])\.weight$/.exec(own ?? "") ?? [];
    if (module !== undefined) {
      const at = prefix + module;
      sorted.modules.set(at, { ...sorted.modules.get(at), [matrix as "A" | "B"]: tensor });
    } else if (own !== undefined && isWithin(own.slice(0, own.lastIndexOf(".")), modulesToSave))
      sorted.whole.set(prefix + own, tensor);
    else
      throw new Error(
        `adapter tensor ${name} is not of the form base_model.model.<module>.lora_A.weight or lora_B, nor of one of modules_to_save.`,
      );
  }
  return sorted;
}

/** A and B of each module. @throws when one is missing, names no module of the model, or has another shape. */
function matricesOf(model: Adaptable, { rank }: LoraConfig, { modules }: AdapterTensors) {
  const linear = linearModules(model);
  const found = new Map<string, { shape: [number, number]; a: Float32Array; b: Float32Array }>();
  for (const [module, { A: a, B: b }] of modules) {
    const shape = linear.get(module);
    if (!shape)
      throw new Error(
        `the adapter is for ${module}, which is no linear module of the model; is it another base?`,
      );
    if (!a || !b)
      throw new Error(`adapter tensor ${loraParameterName(model, module, a ? "B" : "A")} is missing.`);
    const [outputs, inputs] = shape;
    if (a.shape.join() !== `${rank},${inputs}` || b.shape.join() !== `${outputs},${rank}`)
      throw new Error(
        `adapter of ${module}: A [${a.shape.join(", ")}] and B [${b.shape.join(", ")}] do not fit, ` +
          `expected A [${rank}, ${inputs}] and B [${outputs}, ${rank}].`,
      );
    found.set(module, { shape, a: a.data, b: b.data });
  }
  return found;
}

/** Values of what was trained whole. @throws when the model lacks it, or the file has it in part or of another shape. */
function wholeOf(model: Adaptable, { whole }: AdapterTensors, ends: string[]): Map<string, Float32Array> {
  const { modulesToSave } = loraArchitecture(model);
  const values = new Map<string, Float32Array>();
  for (const [name, { shape, data }] of whole) {
    const base = model.parameters.get(name);
    if (!base || !isWithin(name.slice(0, name.lastIndexOf(".")), modulesToSave))
      throw new Error(
        `adapter_config.json: modules_to_save holds ${name}, which is no part of a head that the model has; ` +
          "load the base with as many labels, or merge the adapter with PEFT first.",
      );
    if (shape.join() !== base.shape.join())
      throw new Error(
        `adapter tensor ${peftName(model, name)} is [${shape.join(", ")}], and the model's is [${base.shape.join(", ")}].`,
      );
    values.set(name, data);
  }
  for (const name of wholeParameters(model, ends))
    if (!values.has(name)) throw new Error(`adapter tensor ${peftName(model, name)} is missing.`);
  return values;
}

/**
 * Attaches an adapter read from PEFT's files, with what it trained whole of an encoder's head; the base becomes frozen.
 *
 * @throws when a tensor is missing, names no module of the model, or has another shape.
 */
export function attachLora(model: Adaptable, { config: json, tensors }: LoraFiles): void {
  const config = loraConfigFrom(json);
  const sorted = sortTensors(model, config, tensors);
  if (sorted.modules.size === 0) throw new Error("the adapter holds no tensor.");
  const matrices = matricesOf(model, config, sorted);
  // PEFT names heads of any model there, whether or not this one has them.
  const modulesToSave = config.modulesToSave.filter((end) => wholeParameters(model, [end]).length > 0);
  const wholeValues = wholeOf(model, sorted, modulesToSave);
  const targets = [...new Set(Array.from(matrices.keys(), (name) => name.slice(name.lastIndexOf(".") + 1)))];
  attachAdapters(model, {
    config: { ...config, targets, modulesToSave },
    modules: Array.from(matrices, ([module, { shape }]) => [module, shape]),
    valuesOf: (module) => ({ ...matrices.get(module)!, rank: config.rank }),
    wholeValues,
  });
}
