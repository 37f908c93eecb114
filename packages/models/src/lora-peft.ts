import type { CausalLm } from "./causal-lm.ts";
import { familyOf } from "./families.ts";
import { booleanField, type Json, numberField, objectField, stringField } from "./json-field.ts";
import { attachAdapters, type LoraConfig, loraOf, loraParameterName, targetModules } from "./lora.ts";

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
export async function loraState(model: CausalLm): Promise<LoraFiles> {
  const { config, parameters } = loraOf(model);
  const tensors = new Map<string, LoraTensor>();
  for (const [name, variable] of parameters)
    tensors.set(name, { shape: [...variable.shape], data: Float32Array.from(await variable.data()) });
  return {
    config: {
      peft_type: "LORA",
      task_type: "CAUSAL_LM",
      base_model_name_or_path: config.baseModel ?? null,
      r: config.rank,
      lora_alpha: config.alpha,
      lora_dropout: 0,
      target_modules: config.targets,
      use_rslora: config.rankStabilised,
      fan_in_fan_out: familyOf(model.config.modelType).conv1d,
      bias: "none",
      modules_to_save: null,
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
  const saved = json.modules_to_save;
  if (Array.isArray(saved) && saved.length > 0)
    throw new Error(
      "adapter_config.json: modules_to_save is not supported; merge the adapter with PEFT first.",
    );
  for (const key of ["alpha_pattern", "rank_pattern"])
    if (Object.keys(objectField(json, key) ?? {}).length > 0)
      throw new Error(`adapter_config.json: ${key} is not supported.`);
}

/**
 * Reads an `adapter_config.json`. `lora_dropout`, which acts in training only, is not kept.
 *
 * @throws when it asks for something that would change the result and is not supported.
 */
export function loraConfigFrom(json: Json): LoraConfig {
  refuseOthers(json);
  const targets = json.target_modules;
  const names = typeof targets === "string" ? [targets] : targets;
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string"))
    throw new Error("adapter_config.json: target_modules must be a list of module names.");
  const baseModel = stringField(json, "base_model_name_or_path", "");
  return {
    rank: numberField(json, "r"),
    alpha: numberField(json, "lora_alpha", 8),
    targets: names,
    rankStabilised: booleanField(json, "use_rslora", false),
    ...(baseModel && { baseModel }),
  };
}

/** The modules that an adapter file's names speak of. @throws on a name that is not one of LoRA's. */
function modulesIn(names: Iterable<string>): string[] {
  const modules = new Set<string>();
  for (const name of names) {
    const module = /^base_model\.model\.(.+)\.lora_[AB]\.weight$/.exec(name)?.[1];
    if (!module)
      throw new Error(
        `adapter tensor ${name} is not of the form base_model.model.<module>.lora_A.weight or lora_B.`,
      );
    modules.add(module);
  }
  return [...modules];
}

/**
 * Attaches an adapter read from PEFT's files; the base becomes frozen.
 *
 * @throws when a tensor is missing, names no module of the model, or has another shape.
 */
export function attachLora(model: CausalLm, { config: json, tensors }: LoraFiles): void {
  const config = loraConfigFrom(json);
  const names = modulesIn(tensors.keys());
  if (names.length === 0) throw new Error("the adapter holds no tensor.");
  const ends = [...new Set(names.map((name) => name.slice(name.lastIndexOf(".") + 1)))];
  const linear = targetModules(model, ends);
  const modules = new Map<string, [number, number]>();
  for (const name of names) {
    const shape = linear.get(name);
    if (!shape)
      throw new Error(
        `the adapter is for ${name}, which is no linear module of the model; is it another base?`,
      );
    modules.set(name, shape);
  }
  const tensor = (module: string, matrix: "A" | "B"): LoraTensor => {
    const name = loraParameterName(module, matrix);
    const found = tensors.get(name);
    if (!found) throw new Error(`adapter tensor ${name} is missing.`);
    return found;
  };
  for (const [module, [outputs, inputs]] of modules) {
    const a = tensor(module, "A");
    const b = tensor(module, "B");
    const expected = `A [${config.rank}, ${inputs}] and B [${outputs}, ${config.rank}]`;
    if (a.shape.join() !== `${config.rank},${inputs}` || b.shape.join() !== `${outputs},${config.rank}`)
      throw new Error(
        `adapter of ${module}: A [${a.shape.join(", ")}] and B [${b.shape.join(", ")}] do not fit, expected ${expected}.`,
      );
  }
  const resolved = { ...config, targets: ends };
  attachAdapters(model, resolved, modules, (module) => ({
    a: tensor(module, "A").data,
    b: tensor(module, "B").data,
    rank: config.rank,
  }));
}
