import { join } from "node:path";
import { autoencoderDiffusersConfig } from "../text-to-image/autoencoder-config.ts";
import type { ClipText } from "../text-to-image/clip-text.ts";
import { clipTextConfigJson } from "../text-to-image/clip-text-config.ts";
import type { TextToImage } from "../text-to-image/text-to-image.ts";
import { textUnetDiffusersConfig } from "../text-to-image/text-unet-diffusers-config.ts";
import { writeAtomically, writeFolder, writeJson } from "./atomic-file.ts";
import { networkStem as stem } from "./load-text-to-image.ts";
import { type FolderOptions, tensorsOf } from "./model-folder.ts";
import { writeTokenizer } from "./tokenizer-folder.ts";
import { writeWeights } from "./weights-folder.ts";

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
