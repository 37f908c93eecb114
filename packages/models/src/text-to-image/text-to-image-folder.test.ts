import "@tensorflow/tfjs";
import { cp, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSafetensors, random, valueAndGradients } from "@fdiv/tensor-core";
import { writeSafetensors } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  autoencoderConfig,
  autoencoderConfigFromDiffusers,
  autoencoderParameters,
  clipBpeFiles,
  clipTextConfig,
  clipTextConfigFrom,
  clipTextParameters,
  clipTextStates,
  createAutoencoder,
  createClipText,
  createTextDenoiser,
  discriminatorHeads,
  disposeTextToImage,
  huggingFaceTokenizer,
  parametrisationFromDiffusers,
  textStates,
  textUnetConfig,
  textUnetConfigFromDiffusers,
  textUnetDiffusersConfig,
  textUnetParameters,
} from "../index.ts";
import { isTextToImageFolder, loadTextToImage, saveTextToImage } from "../node/index.ts";

const golden = (name: string) => fileURLToPath(new URL(`golden/${name}`, import.meta.url));
const read = async (path: string) => JSON.parse(await readFile(path, "utf8"));
let place: string;
let folder: string;

beforeAll(async () => {
  await tf.setBackend("cpu");
  place = await mkdtemp(join(tmpdir(), "fdiv-text-to-image-"));
});
afterAll(() => rm(place, { recursive: true }));
beforeEach(async () => {
  folder = await mkdtemp(join(place, "pipeline-"));
  await cp(golden("first"), folder, { recursive: true });
});

async function change(file: string, fields: object): Promise<void> {
  const path = join(folder, file);
  await writeFile(path, JSON.stringify({ ...(await read(path)), ...fields }));
}

const weights = "diffusion_pytorch_model.safetensors";
/** Rewrites a network's file under other names and shapes. */
async function rewrite(
  part: string,
  file: string,
  as: (name: string, shape: readonly number[]) => { name: string; shape: readonly number[] },
  write = (tensors: Parameters<typeof writeSafetensors>[1]) =>
    writeSafetensors(join(folder, part, file), tensors),
): Promise<void> {
  const parsed = parseSafetensors(new Uint8Array(await readFile(join(folder, part, file))));
  const tensors = [...parsed.tensors].map(([name, { shape }]) => ({
    ...as(name, shape),
    dtype: "F32" as const,
    data: Float32Array.from(parsed.readFloat32(name)),
  }));
  await write(tensors);
}

/** D(x; σ), an image's latent and a latent's image, as numbers. */
async function outcome(path: string): Promise<number[]> {
  const model = await loadTextToImage(path);
  const x = tf.tensor(random("x").normal(64), [1, 4, 4, 4]);
  const states = textStates(model.text, ["a photo of cats"]);
  const picture = tf.tensor(random("picture").uniform(192), [1, 8, 8, 3]);
  const found = [
    model.denoiser.denoise(x, tf.tensor1d([2]), states),
    model.autoencoder.encode(picture).mean,
    model.autoencoder.decode(x),
  ].flatMap((tensor) => Array.from(tensor.dataSync()));
  disposeTextToImage(model);
  return found;
}

describe("a pipeline's folder", () => {
  it("is read as it was in other layouts: names and shapes of old, shards, names without a prefix", async () => {
    const expected = await outcome(folder);
    await rewrite("vae", weights, (name, shape) => {
      const old = name.replace(
        /\.to_(q|k|v|out\.0)\.(weight|bias)$/,
        (_, part: string, kind: string) =>
          `.${{ q: "query", k: "key", v: "value" }[part] ?? "proj_attn"}.${kind}`,
      );
      return { name: old, shape: old !== name && shape.length === 2 ? [...shape, 1, 1] : shape };
    });
    expect(await outcome(folder)).toEqual(expected);
    await rewrite("text_encoder", "model.safetensors", (name, shape) => ({
      name: name.startsWith("text_model.") ? name : `text_model.${name}`,
      shape,
    }));
    expect(await outcome(folder)).toEqual(expected);
    await rewrite(
      "unet",
      weights,
      (name, shape) => ({ name, shape }),
      async (all) => {
        const tensors = [...(all as Iterable<{ name: string }>)] as Parameters<typeof writeSafetensors>[1] &
          { name: string }[];
        const shards = [
          "diffusion_pytorch_model-00001-of-00002.safetensors",
          "diffusion_pytorch_model-00002-of-00002.safetensors",
        ];
        const map: Record<string, string> = {};
        for (const [i, file] of shards.entries()) {
          const part = tensors.filter((_, k) => k % 2 === i);
          for (const { name } of part) map[name] = file;
          await writeSafetensors(join(folder, "unet", file), part as never);
        }
        await rm(join(folder, "unet", weights));
        await writeFile(join(folder, "unet", `${weights}.index.json`), JSON.stringify({ weight_map: map }));
      },
    );
    expect(await outcome(folder)).toEqual(expected);
  });

  it.each(["first", "second"])("%s: written and read again it is the same model", async (name) => {
    const saved = join(place, `saved-${name}`);
    const model = await loadTextToImage(golden(name));
    await saveTextToImage(model, saved);
    // A second time, over what is there.
    await saveTextToImage(model, saved);
    disposeTextToImage(model);
    expect(await outcome(saved)).toEqual(await outcome(golden(name)));
    expect((await readdir(saved)).sort()).toEqual([
      "model_index.json",
      "scheduler",
      "text_encoder",
      "tokenizer",
      "unet",
      "vae",
    ]);
    const { _diffusers_version: _, ...index } = await read(join(golden(name), "model_index.json"));
    expect(await read(join(saved, "model_index.json"))).toEqual(index);
    const config = await read(join(golden(name), "unet", "config.json"));
    for (const [field, value] of Object.entries(await read(join(saved, "unet", "config.json"))))
      expect(value, field).toEqual(config[field]);
    const merges = await readFile(join(saved, "tokenizer", "merges.txt"), "utf8");
    expect(merges).toBe(await readFile(join(golden("first"), "tokenizer", "merges.txt"), "utf8"));
  });

  it("in half precision is near, and smaller", async () => {
    const saved = join(place, "half");
    const model = await loadTextToImage(golden("first"));
    await saveTextToImage(model, saved, { dtype: "F16" });
    disposeTextToImage(model);
    const bytes = async (path: string) => (await stat(join(path, "unet", weights))).size;
    expect(await bytes(saved)).toBeLessThan(0.75 * (await bytes(golden("first"))));
    const expected = await outcome(golden("first"));
    for (const [i, value] of (await outcome(saved)).entries())
      expect(Math.abs(value - expected[i]!)).toBeLessThan(0.02 * Math.max(1, Math.abs(expected[i]!)));
  });

  it("is told from another denoiser's", async () => {
    expect(await isTextToImageFolder(folder)).toBe(true);
    expect(await isTextToImageFolder(join(folder, "unet"))).toBe(false);
  });
});

describe("refusals name the part and the field", () => {
  it.each([
    [
      "another pipeline",
      "model_index.json",
      { unet: ["diffusers", "SD3Transformer2DModel"] },
      /unet is \["diffusers","SD3Transformer2DModel"\]; only UNet2DConditionModel/,
    ],
    [
      "no text encoder",
      "model_index.json",
      { text_encoder: [null, null] },
      /text_encoder is \[null,null\]; only CLIPTextModel/,
    ],
    [
      "another attention",
      "unet/config.json",
      { only_cross_attention: true },
      /only_cross_attention is true; only false/,
    ],
    [
      "another block",
      "unet/config.json",
      { down_block_types: ["SimpleCrossAttnDownBlock2D", "DownBlock2D"] },
      /"SimpleCrossAttnDownBlock2D"; only CrossAttnDownBlock2D and DownBlock2D/,
    ],
    [
      "SDXL's embeddings",
      "unet/config.json",
      { addition_embed_type: "text_time" },
      /addition_embed_type is "text_time"/,
    ],
    [
      "heads that do not fit",
      "unet/config.json",
      { attention_head_dim: 3 },
      /4 channels, which do not split into 3 heads/,
    ],
    [
      "a size beyond reason",
      "unet/config.json",
      { block_out_channels: [4, 1e9] },
      /level 1 has 1000000000 channels/,
    ],
    [
      "a list beyond reason",
      "unet/config.json",
      { block_out_channels: new Array(99).fill(4) },
      /99 entries; expected 1 to 16/,
    ],
    [
      "another text size",
      "unet/config.json",
      { cross_attention_dim: 5 },
      /states have 6 channels, the U-Net expects 5/,
    ],
    [
      "latents of other channels",
      "unet/config.json",
      { in_channels: 9 },
      /latents have 4 channels, the U-Net expects 9/,
    ],
    [
      "layers that are not there",
      "unet/config.json",
      { layers_per_block: 2 },
      /missing \(\d+\)[\s\S]*resnets\.1/,
    ],
    ["another autoencoder", "vae/config.json", { latents_mean: [0, 0, 0, 0] }, /latents_mean is \[0,0,0,0\]/],
    ["another encoder", "text_encoder/config.json", { model_type: "t5" }, /model_type is "t5"/],
    ["another activation", "text_encoder/config.json", { hidden_act: "sine" }, /"sine" is not supported/],
    [
      "another scheduler",
      "scheduler/scheduler_config.json",
      { _class_name: "FlowMatchEulerDiscreteScheduler" },
      /FlowMatchEulerDiscreteScheduler can't be read/,
    ],
  ])("%s", async (_, file, fields, message) => {
    await change(file, fields);
    const before = tf.memory().numTensors;
    await expect(loadTextToImage(folder)).rejects.toThrow(message);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("missing files, a vocabulary that is none, and shards that lead elsewhere", async () => {
    await rename(join(folder, "vae", weights), join(folder, "vae", "diffusion_pytorch_model.bin"));
    await expect(loadTextToImage(folder)).rejects.toThrow(
      /vae: has neither diffusion_pytorch_model\.safetensors nor/,
    );
    await writeFile(
      join(folder, "vae", `${weights}.index.json`),
      JSON.stringify({ weight_map: { "conv_in.weight": "../unet/x.safetensors" } }),
    );
    await expect(loadTextToImage(folder)).rejects.toThrow(/no file of the folder/);
    await writeFile(join(folder, "tokenizer", "merges.txt"), "#version: 0.2\na b c\n");
    await expect(loadTextToImage(folder)).rejects.toThrow(/merge 1 is "a b c"/);
    await writeFile(join(folder, "tokenizer", "vocab.json"), '{"a": -1}');
    await expect(loadTextToImage(folder)).rejects.toThrow(/the id of "a" is -1/);
    await rm(join(folder, "tokenizer"), { recursive: true });
    await expect(loadTextToImage(folder)).rejects.toThrow(/neither tokenizer\.json nor vocab\.json/);
    await rm(join(folder, "scheduler"), { recursive: true });
    await expect(loadTextToImage(folder)).rejects.toThrow(/scheduler_config\.json: no such file/);
  });

  it("inputs that do not fit", async () => {
    const { denoiser, text, autoencoder } = await loadTextToImage(folder);
    const level = tf.tensor1d([1]);
    const states = textStates(text, ["a"]);
    expect(() => denoiser.denoise(tf.zeros([1, 4, 4, 4]), level)).toThrow(/there is no text/);
    expect(() => denoiser.denoise(tf.zeros([1, 3, 4, 4]), level, states)).toThrow(/multiples of 2/);
    expect(() => denoiser.denoise(tf.zeros([2, 4, 4, 4]), tf.tensor1d([1, 1]), states)).toThrow(
      /states have shape \[1,12,6\], expected \[2, tokens, 6\]/,
    );
    expect(() => autoencoder.encode(tf.zeros([1, 9, 8, 3]))).toThrow(/multiples of 2/);
    expect(() => autoencoder.decode(tf.zeros([1, 4, 4, 3]))).toThrow(/latents have shape/);
    expect(() => clipTextStates(text, new Int32Array(13), 1)).toThrow(/1 to 12 tokens/);
    expect(() => clipTextStates(text, Int32Array.of(9999), 1)).toThrow(/id 9999/);
    expect(() => clipTextStates(text, Int32Array.of(1), 1, { skip: 2 })).toThrow(/has 2 layers/);
  });
});

describe("models of one's own", () => {
  const scheduler = {
    _class_name: "DDIMScheduler",
    beta_schedule: "scaled_linear",
    beta_start: 0.00085,
    beta_end: 0.012,
  };
  const sizes = {
    channels: 2,
    blockChannels: [4, 8],
    layersPerBlock: 1,
    textSize: 6,
    heads: 2,
    normGroups: 2,
  };

  it("are made, copied, given heads, and saved as a pipeline", async () => {
    const vocab = { a: 0, "a</w>": 1, "<|startoftext|>": 2, "<|endoftext|>": 3 };
    const tokenizer = huggingFaceTokenizer(clipBpeFiles({ vocab, merges: [] }));
    const parametrisation = parametrisationFromDiffusers(scheduler);
    const denoiser = createTextDenoiser({ ...sizes, parametrisation, seed: 1 });
    const text = createClipText(
      { vocabularySize: 4, hiddenSize: 6, heads: 2, layers: 1, positions: 5, intermediateSize: 8 },
      { seed: 2, tokenizer },
    );
    const autoencoder = createAutoencoder({
      blockChannels: [4, 4],
      latentChannels: 2,
      layersPerBlock: 1,
      normGroups: 2,
      seed: 3,
    });
    const student = denoiser.copy();
    const heads = discriminatorHeads(denoiser, { hidden: 4 });
    const x = tf.zeros([1, 4, 4, 2]);
    expect(heads.logits(x, tf.tensor1d([1]), textStates(text, ["a"])).shape).toEqual([1, 1]);
    const { gradients } = valueAndGradients(
      () => tf.sum(student.denoise(x, tf.tensor1d([1]), textStates(text, ["a"]))) as tf.Scalar,
      student.parameters,
    );
    expect(gradients.size).toBe(student.parameters.size);
    const saved = join(place, "own");
    await saveTextToImage({ denoiser: student, text, autoencoder }, saved);
    const again = await loadTextToImage(saved);
    expect(again.denoiser.config).toEqual(denoiser.config);
    expect(textStates(again.text, ["a a"]).dataSync()).toEqual(textStates(text, ["a a"]).dataSync());
    const z = tf.ones([1, 2, 2, 2]);
    expect(again.autoencoder.decode(z).dataSync()).toEqual(autoencoder.decode(z).dataSync());
  });

  it("of the published sizes have as many parameters as Stable Diffusion 1.5", () => {
    const count = (specs: ReadonlyMap<string, { shape: readonly number[] }>) =>
      [...specs.values()].reduce((sum, { shape }) => sum + shape.reduce((size, n) => size * n, 1), 0);
    expect(count(textUnetParameters(textUnetConfig()))).toBe(859_520_964);
    expect(count(autoencoderParameters(autoencoderConfig()))).toBe(83_653_863);
    expect(count(clipTextParameters(clipTextConfig()))).toBe(123_060_480);
  });

  it("configurations come back from the files' form", () => {
    const read = textUnetConfigFromDiffusers({
      ...textUnetDiffusersConfig(textUnetConfigFromDiffusers({ attention_head_dim: [5, 10, 20, 20] })),
    });
    expect(read.heads).toEqual([5, 10, 20, 20]);
    expect(read.textSize).toBe(1280);
    expect(autoencoderConfigFromDiffusers({}).blockChannels).toEqual([64]);
    expect(clipTextConfigFrom({ model_type: "clip", text_config: { hidden_size: 16 } }).hiddenSize).toBe(16);
  });
});
