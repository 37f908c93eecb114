import { mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readJson, readWeights } from "./bounded-files.ts";
import { checkUnetTensors, unetFromDiffusers, unetToDiffusers } from "./diffusers-unet.ts";
import type { UnetDenoiser } from "./unet-denoiser.ts";

async function firstOf(folder: string, candidates: string[]): Promise<string> {
  for (const name of candidates) {
    const path = join(folder, name);
    if ((await stat(path).catch(() => undefined))?.isFile()) return path;
  }
  throw new Error(`${folder} holds no ${candidates.join(" or ")}.`);
}

/**
 * Loads a diffusers folder of an unconditional or class-conditional image model: a pipeline with unet/ and scheduler/, or a flat folder with
 * config.json, scheduler_config.json and diffusion_pytorch_model.safetensors.
 *
 * @throws Error naming a missing file, RangeError on a configuration that can't be read
 */
export async function loadUnetDenoiser(
  folder: string,
  options: { trainable?: boolean } = {},
): Promise<UnetDenoiser> {
  const weights = "diffusion_pytorch_model.safetensors";
  // One after the other, so that of several missing files the same one is named each time.
  const configFile = await firstOf(folder, ["unet/config.json", "config.json"]);
  const schedulerFile = await firstOf(folder, ["scheduler/scheduler_config.json", "scheduler_config.json"]);
  const weightsFile = await firstOf(folder, [`unet/${weights}`, weights]);
  const config = await readJson(configFile);
  const scheduler = await readJson(schedulerFile);
  return unetFromDiffusers(
    {
      config,
      scheduler,
      weights: await readWeights(weightsFile, (tensors) => checkUnetTensors(config, tensors)),
    },
    options,
  );
}

/** Writes a U-Net as a diffusers pipeline folder: unet/, scheduler/ and model_index.json. */
export async function saveUnetDenoiser(model: UnetDenoiser, folder: string): Promise<void> {
  const { config, scheduler, weights } = await unetToDiffusers(model);
  await Promise.all(["unet", "scheduler"].map((name) => mkdir(join(folder, name), { recursive: true })));
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  await writeFile(join(folder, "unet/diffusion_pytorch_model.safetensors"), weights);
  await writeFile(join(folder, "unet/config.json"), json(config));
  await writeFile(join(folder, "scheduler/scheduler_config.json"), json(scheduler));
  await writeFile(
    join(folder, "model_index.json"),
    json({
      _class_name: "DDPMPipeline",
      scheduler: ["diffusers", scheduler._class_name],
      unet: ["diffusers", "UNet2DModel"],
    }),
  );
}
