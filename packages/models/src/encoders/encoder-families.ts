import { type Json, stringField } from "../json-field.ts";
import { bert, roberta } from "./bert.ts";
import { distilbert } from "./distilbert.ts";
import type { EncoderConfig } from "./encoder-config.ts";
import type { EncoderFamily } from "./encoder-family.ts";

/** The families of encoders by Hugging Face's `model_type`. */
export const encoderFamilies: Record<string, EncoderFamily> = {
  bert,
  roberta,
  "xlm-roberta": roberta,
  distilbert,
};

/** The family of a `model_type`. @throws listing what is supported. */
export function encoderFamilyOf(modelType: string): EncoderFamily {
  const family = Object.hasOwn(encoderFamilies, modelType) ? encoderFamilies[modelType] : undefined;
  if (!family)
    throw new Error(
      `model type "${modelType}" is no encoder that is supported; supported are ${Object.keys(encoderFamilies).join(", ")}.`,
    );
  return family;
}

/** Reads an encoder's `config.json`. @throws when its type is not supported or a key is missing or wrong. */
export function encoderConfigFromHuggingFace(json: Json): EncoderConfig {
  return encoderFamilyOf(stringField(json, "model_type", "")).configFrom(json);
}

/** The Hugging Face `config.json` that describes an encoder's config. */
export function huggingFaceEncoderConfig(config: EncoderConfig): Json {
  return encoderFamilyOf(config.modelType).configJson(config);
}
