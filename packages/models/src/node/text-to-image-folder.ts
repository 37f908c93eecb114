import { join } from "node:path";
import { todaysName, todaysShape } from "../denoisers/diffusers-names.ts";
import { parametrisationFromDiffusers } from "../denoisers/diffusers-scheduler.ts";
import type { InitialParameter } from "../denoisers/initialise.ts";
import { readParameters } from "../held-parameters.ts";
import { checkAgainst } from "../parameter-check.ts";
import { autoencoder, autoencoderParameters } from "../text-to-image/autoencoder.ts";
import {
  autoencoderConfigFromDiffusers,
  autoencoderDiffusersConfig,
} from "../text-to-image/autoencoder-config.ts";
import { type ClipText, canonicalClipTextName, clipTextParameters } from "../text-to-image/clip-text.ts";
import { clipTextConfigFrom, clipTextConfigJson } from "../text-to-image/clip-text-config.ts";
import { textDenoiser } from "../text-to-image/text-denoiser.ts";
import type { TextToImage } from "../text-to-image/text-to-image.ts";
import { textUnetParameters } from "../text-to-image/text-unet.ts";
import {
  textUnetConfigFromDiffusers,
  textUnetDiffusersConfig,
} from "../text-to-image/text-unet-diffusers-config.ts";
import { writeAtomically, writeFolder, writeJson } from "./atomic-file.ts";
import { readJson } from "./json-file.ts";
import { type FolderOptions, tensorsOf } from "./model-folder.ts";
import { openTokenizer, writeTokenizer } from "./tokenizer-folder.ts";
import { withWeights, writeWeights } from "./weights-folder.ts";

const stem = "diffusion_pytorch_model";

/** The parts of a pipeline that are read, and the classes that each may be of. */
const parts: Record<string, readonly string[]> = {
  unet: ["UNet2DConditionModel"],
  vae: ["AutoencoderKL"],
  text_encoder: ["CLIPTextModel"],
  tokenizer: ["CLIPTokenizer", "CLIPTokenizerFast"],
};

async function required(path: string): Promise<Record<string, unknown>> {
  const json = await readJson(path);
  if (!json) throw new Error(`${path}: no such file; a pipeline of diffusers has it.`);
  return json;
}

/** @throws Error on a pipeline of another kind, by part and class */
function checkIndex(index: Record<string, unknown>, path: string): void {
  for (const [part, classes] of Object.entries(parts)) {
    const entry = index[part];
    const name = Array.isArray(entry) ? entry[1] : undefined;
    if (!classes.includes(name))
      throw new Error(
        `${path}: ${part} is ${JSON.stringify(entry) ?? "missing"}; only ${classes.join(" and ")} can be read.`,
      );
  }
}

/** Whether a folder holds a text-to-image pipeline rather than another denoiser. */
export async function isTextToImageFolder(folder: string): Promise<boolean> {
  const index = await readJson(join(folder, "model_index.json"));
  return Array.isArray(index?.text_encoder) || Array.isArray(index?.vae);
}

/** The parameters of one of diffusers' networks, read one at a time under today's names. */
function readNetwork(
  folder: string,
  kind: string,
  expected: ReadonlyMap<string, InitialParameter>,
  trainable: boolean,
) {
  return withWeights(
    folder,
    (tensors) => {
      const here = tensors.map((tensor) => {
        const name = todaysName(tensor.name);
        return { ...tensor, name, shape: todaysShape(name, tensor.shape, expected.get(name)?.shape) };
      });
      const specs = new Map(
        [...expected].map(([name, { shape }]) => [name, { shape: [...shape], initial: "zeros" as const }]),
      );
      checkAgainst(specs, kind, here);
      return readParameters(here, { trainable });
    },
    stem,
  );
}

async function readText(folder: string, tokenizerFolder: string): Promise<ClipText> {
  const config = clipTextConfigFrom(await required(join(folder, "config.json")));
  const tokenizer = await openTokenizer(tokenizerFolder);
  if (!tokenizer)
    throw new Error(`${tokenizerFolder}: has neither tokenizer.json nor vocab.json with merges.txt.`);
  const parameters = await withWeights(folder, (tensors) => {
    const here = tensors.flatMap((tensor) => {
      const name = canonicalClipTextName(tensor.name);
      return name === undefined ? [] : [{ ...tensor, name }];
    });
    checkAgainst(clipTextParameters(config), "clip_text_model", here);
    return readParameters(here, { trainable: false });
  });
  return { config, tokenizer, parameters };
}

/**
 * Loads a text-to-image pipeline of diffusers, such as Stable Diffusion 1 and 2: model_index.json, unet/, text_encoder/, tokenizer/, vae/ and scheduler/; weights in safetensors, of full or
 * half precision. A safety checker and the like are left alone.
 *
 * @param options.trainable makes variables of the U-Net's parameters; default false
 * @throws Error naming the file, part or parameter that can't be read; RangeError on a configuration that can't be, by field
 */
export async function loadTextToImage(
  folder: string,
  { trainable = false }: { trainable?: boolean } = {},
): Promise<TextToImage> {
  const index = join(folder, "model_index.json");
  checkIndex(await required(index), index);
  const at = (...path: string[]) => join(folder, ...path);
  const parametrisation = parametrisationFromDiffusers(
    await required(at("scheduler", "scheduler_config.json")),
  );
  const unetConfig = textUnetConfigFromDiffusers(await required(at("unet", "config.json")));
  const vaeConfig = autoencoderConfigFromDiffusers(await required(at("vae", "config.json")));
  const made: { dispose(): void }[] = [];
  const disposable = (parameters: Map<string, { dispose(): void }>) => made.push(...parameters.values());
  try {
    const text = await readText(at("text_encoder"), at("tokenizer"));
    disposable(text.parameters);
    if (text.config.hiddenSize !== unetConfig.textSize)
      throw new Error(
        `${folder}: the text encoder's states have ${text.config.hiddenSize} channels, the U-Net expects ${unetConfig.textSize}.`,
      );
    if (vaeConfig.latentChannels !== unetConfig.inChannels)
      throw new Error(
        `${folder}: the autoencoder's latents have ${vaeConfig.latentChannels} channels, the U-Net expects ${unetConfig.inChannels}.`,
      );
    const vae = await readNetwork(at("vae"), "AutoencoderKL", autoencoderParameters(vaeConfig), false);
    disposable(vae);
    const unet = await readNetwork(
      at("unet"),
      "UNet2DConditionModel",
      textUnetParameters(unetConfig),
      trainable,
    );
    disposable(unet);
    return {
      denoiser: textDenoiser(unet, unetConfig, parametrisation),
      text,
      autoencoder: autoencoder(vae, vaeConfig),
    };
  } catch (error) {
    for (const tensor of made) tensor.dispose();
    throw error;
  }
}

/** CLIP's tokenizer as older readers know it. */
async function writeClipVocabulary(folder: string, { tokenizer }: ClipText): Promise<void> {
  const model = tokenizer?.files?.tokenizer.model;
  if (!model || Array.isArray(model.vocab) || !Array.isArray(model.merges)) return;
  const merges = model.merges.map((pair) => (Array.isArray(pair) ? pair.join(" ") : String(pair)));
  await writeAtomically(join(folder, "vocab.json"), [JSON.stringify(model.vocab)]);
  await writeAtomically(join(folder, "merges.txt"), [`#version: 0.2\n${merges.join("\n")}\n`]);
}

/**
 * Writes a text-to-image model as a pipeline folder of diffusers, which StableDiffusionPipeline.from_pretrained reads; it appears whole or not at all.
 *
 * @throws Error for a parametrisation of one's own, which no scheduler of diffusers describes
 */
export async function saveTextToImage(
  { denoiser, text, autoencoder: vae }: TextToImage,
  folder: string,
  { dtype = "F32", shardBytes = 1e10 }: FolderOptions = {},
): Promise<void> {
  const { scheduler } = denoiser.parametrisation;
  if (!scheduler)
    throw new Error("saveTextToImage: no scheduler of diffusers is known for this model's parametrisation.");
  await writeFolder(folder, async (temporary) => {
    const at = (...path: string[]) => join(temporary, ...path);
    await writeWeights(at("unet"), tensorsOf(denoiser.all), dtype, shardBytes, stem);
    await writeJson(at("unet", "config.json"), textUnetDiffusersConfig(denoiser.config));
    await writeWeights(at("vae"), tensorsOf(vae.all), dtype, shardBytes, stem);
    await writeJson(at("vae", "config.json"), autoencoderDiffusersConfig(vae.config));
    await writeWeights(at("text_encoder"), tensorsOf(text.parameters), dtype, shardBytes);
    await writeJson(at("text_encoder", "config.json"), clipTextConfigJson(text.config));
    if (text.tokenizer) {
      await writeTokenizer(at("tokenizer"), text.tokenizer, text.config.positions);
      await writeClipVocabulary(at("tokenizer"), text);
    }
    await writeJson(at("scheduler", "scheduler_config.json"), scheduler);
    await writeJson(at("model_index.json"), {
      _class_name: "StableDiffusionPipeline",
      feature_extractor: [null, null],
      image_encoder: [null, null],
      requires_safety_checker: false,
      safety_checker: [null, null],
      scheduler: ["diffusers", scheduler._class_name],
      text_encoder: ["transformers", "CLIPTextModel"],
      tokenizer: ["transformers", "CLIPTokenizer"],
      unet: ["diffusers", "UNet2DConditionModel"],
      vae: ["diffusers", "AutoencoderKL"],
    });
  });
}
