import { stat } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { openSafetensors, writeSafetensors } from "@fdiv/tensor-core/node";
import type { Adaptable } from "../lora-architecture.ts";
import { attachLora, type LoraTensor, loraState } from "../lora-peft.ts";
import { disposeModel } from "../parameterised.ts";
import { writeFolder, writeJson } from "./atomic-file.ts";
import { readJson } from "./json-file.ts";

const configName = "adapter_config.json";
const weightsName = "adapter_model.safetensors";

/** Writes a model's LoRA adapter as PEFT's folder. @throws Error where the model has none. */
export async function saveAdapter(model: Adaptable, folder: string): Promise<void> {
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

/** Attaches the LoRA adapter in a PEFT folder to a model, whose own parameters become frozen; the model. */
export async function loadAdapter<M extends Adaptable>(model: M, folder: string): Promise<M> {
  const config = await readJson(join(folder, configName));
  if (!config) throw new Error(`${folder}: has no ${configName}, so it is no adapter folder`);
  const file = await openSafetensors(join(folder, weightsName));
  try {
    const tensors = new Map<string, LoraTensor>();
    for (const [name, { shape }] of file.tensors)
      tensors.set(name, { shape: [...shape], data: await file.readFloat32(name) });
    attachLora(model, { config, tensors });
    return model;
  } catch (error) {
    throw new Error(`${folder}: ${(error as Error).message}`, { cause: error });
  } finally {
    await file.close();
  }
}

/** How many outputs the last layer of a head has that an adapter trained whole; undefined of one that trained none. */
export async function labelsOfAdapter(
  folder: string,
  outputs: readonly string[],
): Promise<number | undefined> {
  const file = await openSafetensors(join(folder, weightsName));
  try {
    const names = outputs.map((module) => `base_model.model.${module}.weight`);
    return names.map((name) => file.tensors.get(name)?.shape[0]).find((count) => count !== undefined);
  } finally {
    await file.close();
  }
}

/** The adapter on its base, which is freed where they do not fit. */
export async function onBase<M extends Adaptable>(base: Promise<M>, folder: string): Promise<M> {
  const model = await base;
  return loadAdapter(model, folder).catch((error) => {
    disposeModel(model);
    throw error;
  });
}

/** Where an adapter's base is: beside the adapter, on this machine, or on the hub. */
async function findBase(folder: string): Promise<string> {
  const base = (await readJson(join(folder, configName)))?.base_model_name_or_path;
  if (typeof base !== "string" || base === "")
    throw new Error(`${folder}: ${configName} names no base model; load the base and use loadAdapter`);
  if (base.startsWith("hf:") || isAbsolute(base)) return base;
  for (const candidate of [base, join(folder, base)])
    if (await stat(candidate).catch(() => undefined)) return candidate;
  return `hf:${base}`;
}

const isFile = (path: string) =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/**
 * The base of an adapter folder; undefined of any other path, a folder with a whole model beside an adapter among them.
 *
 * @param given the base where it is not the one that the adapter names
 * @throws Error where the adapter names none
 */
export async function adapterBase(path: string, given?: string): Promise<string | undefined> {
  const isAdapter = (await isFile(join(path, configName))) && !(await isFile(join(path, "config.json")));
  return isAdapter ? (given ?? (await findBase(path))) : undefined;
}
