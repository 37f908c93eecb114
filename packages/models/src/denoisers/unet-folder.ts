import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type DiffusersUnetFiles, unetFromDiffusers, unetToDiffusers } from "./diffusers-unet.ts";
import type { UnetDenoiser } from "./unet-denoiser.ts";

const largestJson = 1 << 20;

async function firstOf(folder: string, candidates: string[]): Promise<string> {
  for (const name of candidates) {
    const path = join(folder, name);
    if ((await stat(path).catch(() => undefined))?.isFile()) return path;
  }
  throw new Error(`${folder} holds no ${candidates.join(" or ")}.`);
}

/** @throws Error where there is no JSON object */
export async function readJson(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, "utf8");
  if (text.length > largestJson)
    throw new Error(`${path} has ${text.length} characters; no configuration is that long.`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Error(`${path} is no JSON: ${(error as Error).message}`);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new Error(`${path} holds no JSON object.`);
  return json as Record<string, unknown>;
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
  const config = await firstOf(folder, ["unet/config.json", "config.json"]);
  const scheduler = await firstOf(folder, ["scheduler/scheduler_config.json", "scheduler_config.json"]);
  const file = await firstOf(folder, [`unet/${weights}`, weights]);
  const files: DiffusersUnetFiles = {
    config: await readJson(config),
    scheduler: await readJson(scheduler),
    weights: new Uint8Array(await readFile(file)),
  };
  return unetFromDiffusers(files, options);
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
