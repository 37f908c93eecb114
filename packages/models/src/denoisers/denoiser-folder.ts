import { mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readJson, readWeights } from "./bounded-files.ts";
import type { MlpDenoiser } from "./mlp-denoiser.ts";
import { checkMlpTensors, mlpClassName, mlpFromFiles, mlpToFiles } from "./mlp-files.ts";
import type { UnetDenoiser } from "./unet-denoiser.ts";
import { loadUnetDenoiser, saveUnetDenoiser } from "./unet-folder.ts";

const isUnet = (model: UnetDenoiser | MlpDenoiser): model is UnetDenoiser => "parametrisation" in model;

/** Writes a denoiser as a folder: a U-Net as a diffusers pipeline, an MLP as config.json and model.safetensors. */
export async function saveDenoiser(model: UnetDenoiser | MlpDenoiser, folder: string): Promise<void> {
  if (isUnet(model)) return saveUnetDenoiser(model, folder);
  const { config, weights } = await mlpToFiles(model);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "model.safetensors"), weights);
  await writeFile(join(folder, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
}

/**
 * Loads what saveDenoiser writes, or any diffusers folder of a UNet2DModel.
 *
 * @param options.trainable makes variables of its parameters; default false
 * @throws Error naming a missing file; RangeError on a configuration that can't be read
 */
export async function loadDenoiser(
  folder: string,
  options: { trainable?: boolean } = {},
): Promise<UnetDenoiser | MlpDenoiser> {
  const path = join(folder, "config.json");
  const flat = (await stat(path).catch(() => undefined))?.isFile() ? await readJson(path) : {};
  if (flat._class_name !== mlpClassName) return loadUnetDenoiser(folder, options);
  const file = join(folder, "model.safetensors");
  const weights = await readWeights(file, (tensors) => checkMlpTensors(flat, tensors));
  return mlpFromFiles({ config: flat, weights }, options);
}
