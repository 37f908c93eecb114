import { join } from "node:path";
import { todaysName, todaysShape } from "../denoisers/diffusers-names.ts";
import { parametrisationFromDiffusers } from "../denoisers/diffusers-scheduler.ts";
import type { InitialParameter } from "../denoisers/initialise.ts";
import { readParameters } from "../held-parameters.ts";
import { checkAgainst } from "../parameter-check.ts";
import { disposeModel } from "../parameterised.ts";
import { autoencoder, autoencoderParameters } from "../text-to-image/autoencoder.ts";
import { autoencoderConfigFromDiffusers } from "../text-to-image/autoencoder-config.ts";
import { type ClipText, canonicalClipTextName, clipTextParameters } from "../text-to-image/clip-text.ts";
import { type ClipTextConfig, clipTextConfigFrom } from "../text-to-image/clip-text-config.ts";
import { type TextDenoiser, textDenoiser } from "../text-to-image/text-denoiser.ts";
import type { TextToImage } from "../text-to-image/text-to-image.ts";
import { textUnetParameters } from "../text-to-image/text-unet.ts";
import { textUnetConfigFromDiffusers } from "../text-to-image/text-unet-diffusers-config.ts";
import { readJson } from "./json-file.ts";
import { openTokenizer } from "./tokenizer-folder.ts";
import { withWeights } from "./weights-folder.ts";

/** What diffusers calls the weights of a network. */
export const networkStem = "diffusion_pytorch_model";

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
    networkStem,
  );
}

async function readText(config: ClipTextConfig, folder: string, tokenizerFolder: string): Promise<ClipText> {
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

/** All configurations of a pipeline's folder. @throws Error where a part is missing, can't be read, or does not fit the others */
async function readConfigs(folder: string) {
  const json = (...path: string[]) => required(join(folder, ...path));
  checkIndex(await json("model_index.json"), join(folder, "model_index.json"));
  const parametrisation = parametrisationFromDiffusers(await json("scheduler", "scheduler_config.json"));
  const unet = textUnetConfigFromDiffusers(await json("unet", "config.json"));
  const vae = autoencoderConfigFromDiffusers(await json("vae", "config.json"));
  const text = clipTextConfigFrom(await json("text_encoder", "config.json"));
  if (text.hiddenSize !== unet.textSize)
    throw new Error(
      `${folder}: the text encoder's states have ${text.hiddenSize} channels, the U-Net expects ${unet.textSize}.`,
    );
  if (vae.latentChannels !== unet.inChannels)
    throw new Error(
      `${folder}: the autoencoder's latents have ${vae.latentChannels} channels, the U-Net expects ${unet.inChannels}.`,
    );
  return { parametrisation, unet, vae, text };
}

/**
 * The denoiser of a pipeline's folder alone.
 *
 * @param options.trainable makes variables of its parameters; default false
 * @throws as loadTextToImage
 */
export async function loadTextDenoiser(
  folder: string,
  { trainable = false }: { trainable?: boolean } = {},
): Promise<TextDenoiser> {
  const { unet, parametrisation } = await readConfigs(folder);
  const parameters = await readNetwork(
    join(folder, "unet"),
    "UNet2DConditionModel",
    textUnetParameters(unet),
    trainable,
  );
  return textDenoiser(parameters, unet, parametrisation);
}

/**
 * What a pipeline's denoiser is used with: its text encoder and autoencoder, frozen.
 *
 * @throws as loadTextToImage
 */
export async function loadTextSide(folder: string): Promise<Omit<TextToImage, "denoiser">> {
  const { text: textConfig, vae } = await readConfigs(folder);
  const text = await readText(textConfig, join(folder, "text_encoder"), join(folder, "tokenizer"));
  try {
    const parameters = await readNetwork(
      join(folder, "vae"),
      "AutoencoderKL",
      autoencoderParameters(vae),
      false,
    );
    return { text, autoencoder: autoencoder(parameters, vae) };
  } catch (error) {
    disposeModel(text);
    throw error;
  }
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
  options: { trainable?: boolean } = {},
): Promise<TextToImage> {
  const side = await loadTextSide(folder);
  try {
    return { denoiser: await loadTextDenoiser(folder, options), ...side };
  } catch (error) {
    side.autoencoder.dispose();
    disposeModel(side.text);
    throw error;
  }
}
