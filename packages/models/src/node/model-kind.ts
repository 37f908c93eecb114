import { encoderFamilies } from "../encoders/encoder-families.ts";
import { families } from "../families.ts";
import { stringField } from "../json-field.ts";
import { adapterBase } from "./adapter-folder.ts";
import { type HubSettings, localPath } from "./open-checkpoint.ts";
import { openModelFolder } from "./open-model-folder.ts";

/** What a language model is made of, and so which functions load and run it. */
export type ModelKind = "encoder" | "encoder-decoder" | "decoder";

/** The kind of a `model_type`. @throws listing what is supported. */
export function modelKindOf(modelType: string): ModelKind {
  if (Object.hasOwn(families, modelType)) return "decoder";
  if (Object.hasOwn(encoderFamilies, modelType)) return "encoder";
  if (modelType === "t5" || modelType === "mt5") return "encoder-decoder";
  const known = [...Object.keys(families), ...Object.keys(encoderFamilies), "t5", "mt5"];
  throw new Error(`model type "${modelType}" is not supported; supported are ${known.join(", ")}.`);
}

/** The kind of the model in a Hugging Face folder or `hf:` reference; GGUF and llama2.c files hold decoders, and an adapter is of its base's. */
export async function modelKind(pathOrReference: string, hub?: HubSettings): Promise<ModelKind> {
  if (/\.(gguf|bin)$/.test(pathOrReference)) return "decoder";
  const base = await adapterBase(await localPath(pathOrReference, hub));
  if (base) return modelKind(base, hub);
  const { json } = await openModelFolder(pathOrReference, hub);
  try {
    return modelKindOf(stringField(json, "model_type", ""));
  } catch (error) {
    throw new Error(`${pathOrReference}: ${(error as Error).message}`, { cause: error });
  }
}
