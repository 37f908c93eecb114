import type { CausalLmConfig } from "./config.ts";
import type { Family } from "./family.ts";
import { gpt2 } from "./gpt2.ts";
import { type Json, stringField } from "./json-field.ts";
import { llama } from "./llama.ts";

/** The families by Hugging Face's `model_type`; add one here and it loads, trains, generates and saves. */
export const families: Record<string, Family> = { llama, mistral: llama, qwen2: llama, gpt2 };

/** The family of a `model_type`. @throws listing what is supported. */
export function familyOf(modelType: string): Family {
  const family = Object.hasOwn(families, modelType) ? families[modelType] : undefined;
  if (!family)
    throw new Error(
      `model type "${modelType}" is not supported; supported are ${Object.keys(families).join(", ")}.`,
    );
  return family;
}

/** Reads a Hugging Face `config.json`. @throws when its type is not supported or a key is missing or wrong. */
export function configFromHuggingFace(json: Json): CausalLmConfig {
  if (json.model_type === undefined || json.model_type === null)
    throw new Error("config.json: model_type is missing, so the architecture is not known.");
  return familyOf(stringField(json, "model_type", "")).configFrom(json);
}

/** The Hugging Face `config.json` that describes a config. */
export function huggingFaceConfig(config: CausalLmConfig): Json {
  return familyOf(config.modelType).configJson(config);
}
