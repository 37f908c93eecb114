import "@tensorflow/tfjs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { adamW, random, valueAndGradients } from "@fdiv/tensor-core";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createMlpDenoiser,
  createUnetDenoiser,
  type DenoiserModel,
  discreteSchedule,
  discriminatorHeads,
  parametrisationFromDiffusers,
  unet2d,
  unet2dConfig,
  unet2dConfigFromDiffusers,
  unetDenoiser,
  unetFromDiffusers,
  unetToDiffusers,
} from "../index.ts";
import { loadUnetDenoiser, saveUnetDenoiser } from "../node/index.ts";

beforeAll(async () => {
  await startBackend({ backend: "wasm", threads: 1 });
});
afterAll(() => tf.setBackend("cpu"));

const golden = (name: string) => fileURLToPath(new URL(`golden/${name}`, import.meta.url));
const draw = (label: string, shape: number[]) =>
  tf.tensor(random(label).normal(tf.util.sizeFromShape(shape)), shape);
const fill = (n: number, value: number) => tf.fill([n], value) as tf.Tensor1D;

describe("diffusers' UNet2DModel folders", () => {
  it.each(["plain", "scaled", "edm"])("%s: the network and D(x; σ) are PyTorch's to 1e-4", async (name) => {
    const expected = JSON.parse(await readFile(join(golden(name), "expected.json"), "utf8"));
    const model = await loadUnetDenoiser(golden(name));
    const x = tf.tensor(expected.x, expected.shape);
    const labels = expected.labels ? tf.tensor1d(expected.labels, "int32") : undefined;
    for (const backend of ["wasm", "cpu"]) {
      await tf.setBackend(backend);
      const raw = unet2d(model.all, model.config, x, tf.tensor1d(expected.level), labels);
      assertAllClose(raw, expected.raw, { absolute: 1e-4, relative: 1e-4 });
      expected.sigmas.forEach((sigma: number, i: number) => {
        const found = model.denoise(tf.mul(sigma, x), fill(expected.shape[0], sigma), labels);
        assertAllClose(found, expected.denoised[i], { absolute: 1e-4 * Math.max(1, sigma), relative: 1e-4 });
      });
    }
    await tf.setBackend("wasm");
    model.dispose();
  });

  it("is refused by field where it can't be read", async () => {
    const config = JSON.parse(await readFile(join(golden("plain"), "config.json"), "utf8"));
    const read = (change: object) => () => unet2dConfigFromDiffusers({ ...config, ...change });
    expect(read({ act_fn: "gelu" })).toThrow(/act_fn is "gelu"/);
    expect(read({ down_block_types: ["DownBlock2D", "SkipDownBlock2D"] })).toThrow(/"SkipDownBlock2D"/);
    expect(read({ _class_name: "UNet2DConditionModel" })).toThrow(/only UNet2DModel/);
    expect(read({ block_out_channels: [5, 8] })).toThrow(/5 channels, which do not split/);
    expect(read({ block_out_channels: [4, 1e9] })).toThrow(/level 1/);
    expect(() => parametrisationFromDiffusers({ _class_name: "ScoreSdeVeScheduler" })).toThrow(
      /ScoreSdeVeScheduler/,
    );
    expect(() => parametrisationFromDiffusers({ _class_name: "DDPMScheduler", beta_schedule: "x" })).toThrow(
      /beta_schedule "x"/,
    );
    expect(() =>
      parametrisationFromDiffusers({ _class_name: "DDIMScheduler", rescale_betas_zero_snr: true }),
    ).toThrow(/infinite/);
    expect(() => discreteSchedule([0.5, 0.6], "epsilon")).toThrow(/step 1/);
  });

  it("a wrong file names the parameter, and a missing file itself", async () => {
    const model = createUnetDenoiser({ blockChannels: [8, 8], normGroups: 4, headSize: 8 });
    const files = await unetToDiffusers(model);
    expect(() => unetFromDiffusers({ ...files, config: { ...files.config, num_class_embeds: 3 } })).toThrow(
      /class_embedding\.weight is missing/,
    );
    expect(() => unetFromDiffusers({ ...files, config: { ...files.config, add_attention: false } })).toThrow(
      /no place for a parameter mid_block\.attentions/,
    );
    await expect(loadUnetDenoiser(golden("nowhere"))).rejects.toThrow(
      /holds no unet\/config\.json or config\.json/,
    );
  });

  it("keeps its own scheduler when it is written, and refuses one that has none", async () => {
    const model = await loadUnetDenoiser(golden("scaled"));
    const files = await unetToDiffusers(model);
    expect(files.scheduler).toMatchObject({ _class_name: "DDPMScheduler", prediction_type: "v_prediction" });
    expect(unetFromDiffusers(files).range).toEqual(model.range);
    const own = unetDenoiser(model.all, model.config, discreteSchedule([0.9, 0.5], "epsilon"));
    await expect(unetToDiffusers(own)).rejects.toThrow(/no scheduler/);
  });

  it("written and read again it is the same model", async () => {
    const folder = await mkdtemp(join(tmpdir(), "unet-"));
    try {
      const model = createUnetDenoiser({
        blockChannels: [8, 16],
        labels: 3,
        normGroups: 4,
        headSize: 8,
        seed: 4,
      });
      await saveUnetDenoiser(model, folder);
      const again = await loadUnetDenoiser(folder, { trainable: true });
      expect(again.config).toEqual(model.config);
      expect([...again.parameters.keys()].sort()).toEqual([...model.parameters.keys()].sort());
      const x = draw("x", [2, 8, 8, 1]);
      const labels = tf.tensor1d([2, -1], "int32");
      expect(Array.from(again.denoise(x, fill(2, 3), labels).dataSync())).toEqual(
        Array.from(model.denoise(x, fill(2, 3), labels).dataSync()),
      );
      await writeFile(join(folder, "unet/config.json"), "[]");
      await expect(loadUnetDenoiser(folder)).rejects.toThrow(/no JSON object/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("schedules", () => {
  it("every prediction gives the same denoiser of the same truth", () => {
    // The truth: data that is all x₀ = 0.7, so that ε and v are known.
    const alphas = Float64Array.from({ length: 50 }, (_, t) => 0.999 * Math.exp(-0.08 * t));
    const clean = 0.7;
    for (const t of [3, 20, 49]) {
      const sigma = Math.sqrt(1 / alphas[t]! - 1);
      const [root, noise] = [Math.sqrt(alphas[t]!), Math.sqrt(1 - alphas[t]!)];
      const x = clean + sigma * 0.4;
      const outputs = { epsilon: 0.4, sample: clean, v_prediction: root * 0.4 - noise * clean };
      for (const [prediction, output] of Object.entries(outputs)) {
        const found = discreteSchedule(alphas, prediction as "epsilon").coefficients(fill(1, sigma));
        const [skip, out, inward, level] = [found.skip, found.out, found.in, found.level].map(
          (v) => v.dataSync()[0]!,
        );
        expect(skip! * x + out! * output).toBeCloseTo(clean, 4);
        expect(inward).toBeCloseTo(root, 5);
        expect(level).toBeCloseTo(t, 2);
      }
    }
  });
  it("DDPM's linear betas", () => {
    const { range } = parametrisationFromDiffusers({ _class_name: "DDPMScheduler" });
    expect(range[0]).toBeCloseTo(Math.sqrt(1 / 0.9999 - 1), 8);
    expect(range[1]).toBeCloseTo(157.407, 2);
  });
});

/** Steps of plain denoising at σ = ½ on fixed data; the mean loss before and after. */
function train(model: DenoiserModel, clean: tf.Tensor, steps: number, labels?: tf.Tensor): [number, number] {
  const optimizer = adamW({ learningRate: 3e-3 });
  const losses: number[] = [];
  const batch = clean.shape[0]!;
  for (let step = 0; step < steps; step++) {
    const noise = draw(`noise ${step}`, clean.shape);
    const { value, gradients } = valueAndGradients(() => {
      const denoised = model.denoise(tf.add(clean, tf.mul(0.5, noise)), fill(batch, 0.5), labels);
      return tf.mean(tf.square(tf.sub(denoised, clean))) as tf.Scalar;
    }, model.parameters);
    if (step === 0 && !labels) expect(gradients.size).toBe(model.parameters.size);
    optimizer.step(model.parameters, gradients);
    losses.push(value.dataSync()[0]!);
    tf.dispose([value, noise, ...gradients.values()]);
  }
  optimizer.dispose();
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  return [mean(losses.slice(0, 3)), mean(losses.slice(-3))];
}

describe("the U-Net trains on wasm", () => {
  it("every parameter's gradient is the cpu backend's", async () => {
    const options = { blockChannels: [8, 8], normGroups: 4, headSize: 4, labels: 3, seed: 1 };
    const gradientsOn = async (backend: string) => {
      await tf.setBackend(backend);
      const model = createUnetDenoiser(options);
      // Past the start, where most of the net is shut off by its small last layers.
      for (const [name, variable] of model.parameters) {
        const noise = draw(name, variable.shape);
        variable.assign(tf.add(variable, tf.mul(0.1, noise)));
      }
      const { gradients } = valueAndGradients(() => {
        const out = model.denoise(
          draw("x", [2, 4, 4, 1]),
          tf.tensor1d([0.3, 4]),
          tf.tensor1d([2, -1], "int32"),
        );
        return tf.sum(tf.mul(out, draw("up", out.shape))) as tf.Scalar;
      }, model.parameters);
      return new Map([...gradients].map(([name, g]) => [name, Array.from(g.dataSync())]));
    };
    const [exact, found] = [await gradientsOn("cpu"), await gradientsOn("wasm")];
    await tf.setBackend("wasm");
    expect(found.size).toBe(exact.size);
    expect(found.size).toBeGreaterThan(90);
    for (const [name, gradient] of exact) {
      const size = Math.max(...gradient.map(Math.abs));
      try {
        assertAllClose(found.get(name)!, gradient, { absolute: 2e-4 * Math.max(size, 0.1), relative: 1e-3 });
      } catch (error) {
        throw new Error(`${name}: ${(error as Error).message}`);
      }
    }
  });
  it("learns, and its copy stays as it was", async () => {
    const model = createUnetDenoiser({ blockChannels: [8, 16], normGroups: 4, headSize: 8, seed: 2 });
    const copy = model.copy();
    const clean = tf.tidy(() => tf.tanh(tf.mul(4, draw("stripes", [8, 1, 8, 1])).mul(tf.ones([8, 8, 8, 1]))));
    const before = copy.denoise(clean, fill(8, 1)).dataSync();
    const [first, last] = train(model, clean, 40);
    expect(last).toBeLessThan(0.6 * first);
    expect(Array.from(copy.denoise(clean, fill(8, 1)).dataSync())).toEqual(Array.from(before));
  });
  it("a seed is a model, and another one another", () => {
    const options = { blockChannels: [8], normGroups: 4, headSize: 8 };
    const first = (seed: number) =>
      Array.from(
        createUnetDenoiser({ ...options, seed })
          .all.get("conv_in.weight")!
          .dataSync(),
      );
    expect(first(1)).toEqual(first(1));
    expect(first(1)).not.toEqual(first(2));
  });
  it("refuses images and labels that do not fit", () => {
    const model = createUnetDenoiser({ blockChannels: [8, 8], normGroups: 4, headSize: 8 });
    expect(() => model.denoise(tf.zeros([1, 7, 8, 1]), fill(1, 1))).toThrow(/multiples of 2/);
    expect(() => model.denoise(tf.zeros([1, 8, 8, 1]), fill(1, 1), tf.tensor1d([0], "int32"))).toThrow(
      /without a label embedding/,
    );
    expect(() => unet2dConfig({ blockChannels: [12], normGroups: 5 })).toThrow(/5 groups/);
  });
});

describe("the MLP", () => {
  it("learns by label", () => {
    const model = createMlpDenoiser({ hidden: 32, layers: 2, labels: 2, seed: 1 });
    const labels = tf.tensor1d(
      Int32Array.from({ length: 64 }, (_, i) => i % 2),
      "int32",
    );
    const clean = tf.tensor2d(Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? [1, -1] : [-1, 1])));
    const [, last] = train(model, clean, 120, labels);
    expect(last).toBeLessThan(0.02);
    expect(() => createMlpDenoiser().denoise(tf.zeros([1, 3]), fill(1, 1))).toThrow(/expected \[batch, 2\]/);
  });
});

describe("discriminator heads", () => {
  it("over features that are chosen, with gradients to heads, and to a net that trains", () => {
    const net = createUnetDenoiser({ blockChannels: [8, 16], normGroups: 4, headSize: 8, seed: 3 });
    const heads = discriminatorHeads(net, { features: [0, -1], hidden: 8 });
    const x = draw("x", [3, 8, 8, 1]);
    const both = new Map([...heads.parameters, ...net.parameters]);
    const { value, gradients } = valueAndGradients(
      () => tf.sum(heads.logits(x, fill(3, 1))) as tf.Scalar,
      both,
    );
    expect(heads.logits(x, fill(3, 1)).shape).toEqual([3, 2]);
    expect(Number.isFinite(value.dataSync()[0])).toBe(true);
    for (const name of heads.parameters.keys()) expect(gradients.has(name)).toBe(true);
    expect(gradients.has("mid_block.resnets.1.conv2.weight")).toBe(true);
    expect(gradients.has("up_blocks.0.resnets.0.conv1.weight")).toBe(false);
    expect(() => discriminatorHeads(net, { features: [9] })).toThrow(/no feature 9; the net has 3/);
  });
});
