import "@tensorflow/tfjs";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { createMlpDenoiser, createUnetDenoiser, mlpFromFiles, mlpToFiles } from "../index.ts";
import { loadDenoiser, saveDenoiser } from "../node/index.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const levels = tf.tidy(() => tf.keep(tf.tensor1d([0.3, 4])));

describe("an MLP denoiser", () => {
  it("comes back from its folder as it was, labels and all", async () => {
    const folder = await mkdtemp(join(tmpdir(), "fdiv-mlp-"));
    const model = createMlpDenoiser({
      dimensions: 3,
      hidden: 8,
      layers: 2,
      labels: 2,
      sigmaData: 0.7,
      seed: 4,
    });
    await saveDenoiser(model, folder);
    const loaded = await loadDenoiser(folder, { trainable: true });
    const x = tf.tensor(random(1).normal(6), [2, 3]);
    const labels = tf.tensor1d([1, -1], "int32");
    expect(loaded.denoise(x, levels, labels).dataSync()).toEqual(model.denoise(x, levels, labels).dataSync());
    expect([...loaded.parameters.keys()].sort()).toEqual([...model.parameters.keys()].sort());
    expect("sizes" in loaded && loaded.sizes).toEqual(model.sizes);
    const config = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
    for (const [change, message] of [
      [{ hidden: 9 }, /has shape \[8,3\], expected \[9,3\]/],
      [{ hidden: "8" }, /hidden is "8", expected a number/],
      [{ depth: 1 }, /has no depth/],
      [{ layers: 1 }, /no place for a parameter layers\.1/],
    ] as const) {
      await writeFile(join(folder, "config.json"), JSON.stringify({ ...config, ...change }));
      await expect(loadDenoiser(folder)).rejects.toThrow(message);
    }
  });

  it("takes images of as many numbers", () => {
    const model = createMlpDenoiser({ dimensions: 4, hidden: 8, seed: 2 });
    const x = tf.tensor(random(3).normal(8), [2, 2, 2, 1]);
    const flat = model.denoise(tf.reshape(x, [2, 4]), levels);
    const image = model.denoise(x, levels);
    expect(image.shape).toEqual([2, 2, 2, 1]);
    expect(image.dataSync()).toEqual(flat.dataSync());
    expect(() => model.denoise(tf.zeros([2, 3, 1, 1]), levels)).toThrow(/x has shape \[2,3,1,1\]/);
  });

  it("goes through memory alone, as in a browser", async () => {
    const model = createMlpDenoiser({ hidden: 8, seed: 5 });
    const again = mlpFromFiles(await mlpToFiles(model));
    const x = tf.tensor(random(1).normal(4), [2, 2]);
    expect(again.denoise(x, levels).dataSync()).toEqual(model.denoise(x, levels).dataSync());
    expect(again.parameters.size).toBe(0);
  });
});

it("a U-Net's folder is loaded by the same function", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fdiv-unet-"));
  await saveDenoiser(createUnetDenoiser({ blockChannels: [8], normGroups: 4, headSize: 8 }), folder);
  expect("config" in (await loadDenoiser(folder))).toBe(true);
});
