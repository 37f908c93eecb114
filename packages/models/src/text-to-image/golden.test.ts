import "@tensorflow/tfjs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { random, valueAndGradients } from "@fdiv/tensor-core";
import { assertAllClose, onEachBackend } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { clipTextIds, disposeTextToImage, type TextToImage, textStates, textUnet } from "../index.ts";
import { isTextToImageFolder, loadTextToImage } from "../node/index.ts";

const golden = (name: string) => fileURLToPath(new URL(`golden/${name}`, import.meta.url));
const fill = (n: number, value: number) => tf.fill([n], value) as tf.Tensor1D;
const backends = ["cpu", "wasm", "tensorflow"] as const;

interface Golden {
  texts: string[];
  ids: number[];
  sample: {
    text: string;
    guidance: number;
    sigmas: number[];
    start: number[];
    latents: number[];
    pictures: number[];
  };
  [name: string]: unknown;
}

const expectedOf = async (name: string): Promise<Golden & Record<string, number[]>> =>
  JSON.parse(await readFile(`${golden(name)}/expected.json`, "utf8"));

/** Relative to the largest of the expected numbers. */
function close(found: tf.Tensor, expected: number[], relative: number): void {
  const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  assertAllClose(found, expected, { absolute: relative * largest, relative: 0 });
}

/** Guided denoising as diffusers does it, then Euler's steps down its levels. */
async function sampled(
  model: TextToImage,
  { text, guidance, sigmas, start }: Golden["sample"],
): Promise<tf.Tensor> {
  const [asked, empty] = [textStates(model.text, [text, text]), textStates(model.text, ["", ""])];
  let x: tf.Tensor = tf.tensor(start, [2, 4, 4, 4]);
  for (let i = 1; i < sigmas.length; i++)
    x = tf.tidy(() => {
      const level = fill(2, sigmas[i - 1]!);
      const [towards, away] = [asked, empty].map((states) => model.denoiser.denoise(x, level, states));
      const denoised = tf.add(away!, tf.mul(guidance, tf.sub(towards!, away!)));
      const slope = tf.div(tf.sub(x, denoised), sigmas[i - 1]!);
      return tf.add(x, tf.mul(sigmas[i]! - sigmas[i - 1]!, slope));
    });
  return x;
}

describe.each(["first", "second"])("diffusers' StableDiffusionPipeline, %s", (name) => {
  it("has the ids of its tokenizer", async () => {
    await tf.setBackend("cpu");
    const { texts, ids } = await expectedOf(name);
    const model = await loadTextToImage(golden(name));
    expect(await isTextToImageFolder(golden(name))).toBe(true);
    expect(Array.from(clipTextIds(model.text, texts))).toEqual(ids);
    disposeTextToImage(model);
  });

  it("computes what PyTorch computes to 1e-5: texts, network, D(x; σ), images to latents and back", () =>
    onEachBackend([...backends], async () => {
      const expected = await expectedOf(name);
      const model = await loadTextToImage(golden(name));
      close(textStates(model.text, expected.texts), expected.states!, 1e-5);
      close(textStates(model.text, expected.texts, { skip: 1 }), expected.skipped!, 1e-5);
      const states = textStates(model.text, expected.texts.slice(0, 2));
      const x = tf.tensor(expected.x!, [2, 4, 4, 4]);
      const { denoiser, autoencoder } = model;
      close(
        textUnet(denoiser.all, denoiser.config, x, tf.tensor1d(expected.level!), states),
        expected.raw!,
        1e-5,
      );
      (expected.sigmas as number[]).forEach((sigma, i) => {
        const found = denoiser.denoise(tf.mul(sigma, x), fill(2, sigma), states);
        close(found, (expected.denoised as unknown as number[][])[i]!, 1e-5);
      });
      const { mean, logVariance } = autoencoder.encode(tf.tensor(expected.image!, [2, 8, 8, 3]));
      close(mean, expected.mean!, 1e-5);
      close(logVariance, expected.logVariance!, 1e-5);
      close(autoencoder.decode(tf.tensor(expected.latent!, [2, 4, 4, 4])), expected.decoded!, 1e-5);
      disposeTextToImage(model);
    }));

  it("five guided steps are the pipeline's own to 1e-4, pictures too", () =>
    onEachBackend(["cpu", "tensorflow"], async () => {
      const { sample } = await expectedOf(name);
      const model = await loadTextToImage(golden(name));
      const latents = await sampled(model, sample);
      close(latents, sample.latents, 1e-4);
      close(tf.clipByValue(model.autoencoder.decode(latents), -1, 1), sample.pictures, 1e-4);
      disposeTextToImage(model);
    }));

  it("its gradients are differences, on parameters of every kind", () =>
    onEachBackend([...backends], async () => {
      const model = await loadTextToImage(golden(name), { trainable: true });
      const { denoiser } = model;
      const states = textStates(model.text, ["a cat", "dogs"]);
      const x = tf.tensor(random("x").normal(128), [2, 4, 4, 4]);
      const up = tf.tensor(random("up").normal(128), [2, 4, 4, 4]);
      const loss = () => tf.sum(tf.mul(denoiser.denoise(x, tf.tensor1d([0.5, 4]), states), up)) as tf.Scalar;
      const { gradients } = valueAndGradients(loss, denoiser.parameters);
      expect(gradients.size).toBe(denoiser.parameters.size);
      expect(gradients.size).toBeGreaterThan(150);
      // Steps by how far each is from linear.
      for (const [parameter, step] of [
        ["down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight", 2e-2],
        ["down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight", 4e-2],
        ["mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj.weight", 2e-2],
        ["up_blocks.1.attentions.1.proj_in.weight", 1e-2],
        ["up_blocks.0.resnets.1.time_emb_proj.weight", 2e-2],
        ["down_blocks.0.downsamplers.0.conv.weight", 3e-3],
        ["time_embedding.linear_1.bias", 1e-2],
      ] as const) {
        const variable = denoiser.parameters.get(parameter)!;
        const direction = tf.tensor(random(parameter).normal(variable.size), variable.shape);
        const start = tf.clone(variable);
        const at = (step: number) => {
          variable.assign(tf.add(start, tf.mul(step, direction)));
          return tf.tidy(loss).dataSync()[0]!;
        };
        const difference = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step);
        variable.assign(start);
        const along = tf.sum(tf.mul(gradients.get(parameter)!, direction)).dataSync()[0]!;
        expect(Math.abs(along - difference), parameter).toBeLessThan(1.5e-3 + 5e-3 * Math.abs(difference));
      }
      disposeTextToImage(model);
    }));
});
