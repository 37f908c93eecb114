import { join } from "node:path";
import { openSafetensors, writeSafetensors } from "@fdiv/tensor-core/node";
import type { CausalLm } from "../causal-lm.ts";
import { attachLora, type LoraTensor, loraState } from "../lora-peft.ts";
import { writeFolder, writeJson } from "./atomic-file.ts";
import { readJson } from "./json-file.ts";

const configName = "adapter_config.json";
const weightsName = "adapter_model.safetensors";

/** Writes a model's LoRA adapter as PEFT's folder. @throws Error where the model has none. */
export async function saveAdapter(model: CausalLm, folder: string): Promise<void> {
  const { config, tensors } = await loraState(model);
  await writeFolder(folder, async (temporary) => {
    await writeSafetensors(
      join(temporary, weightsName),
      Array.from(tensors, ([name, { shape, data }]) => ({ name, dtype: "F32" as const, shape, data })),
      { format: "pt" },
    );
    await writeJson(join(temporary, configName), config);
  });
}

/** Attaches the LoRA adapter in a PEFT folder to a model, whose own parameters become frozen. */
export async function loadAdapter(model: CausalLm, folder: string): Promise<void> {
  const config = await readJson(join(folder, configName));
  if (!config) throw new Error(`${folder}: has no ${configName}, so it is no adapter folder`);
  const file = await openSafetensors(join(folder, weightsName));
  try {
    const tensors = new Map<string, LoraTensor>();
    for (const [name, { shape }] of file.tensors)
      tensors.set(name, { shape: [...shape], data: await file.readFloat32(name) });
    attachLora(model, { config, tensors });
  } catch (error) {
    throw new Error(`${folder}: ${(error as Error).message}`, { cause: error });
  } finally {
    await file.close();
  }
}

/** The base model that an adapter folder names. @throws Error where it names none. */
export async function baseOfAdapter(folder: string): Promise<string> {
  const config = await readJson(join(folder, configName));
  const base = config?.base_model_name_or_path;
  if (typeof base !== "string" || base === "")
    throw new Error(`${folder}: ${configName} names no base model; load the base and use loadAdapter`);
  return base;
}
