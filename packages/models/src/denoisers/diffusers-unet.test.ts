import "@tensorflow/tfjs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { random } from "@fdiv/tensor-core";
import { startBackend } from "@fdiv/tensor-core/node";
import { assertAllClose } from "@fdiv/tensor-core/testing";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createUnetDenoiser,
  discreteSchedule,
  parametrisationFromDiffusers,
  unet2d,
  unet2dConfigFromDiffusers,
  unetDenoiser,
  unetFromDiffusers,
  unetToDiffusers,
} from "../index.ts";
import { loadUnetDenoiser, saveUnetDenoiser } from "../node/index.ts";
import { diffusersConfig } from "./unet2d-diffusers-config.ts";
import { unet2dParameters } from "./unet2d-parameters.ts";

beforeAll(async () => {
  await startBackend({ backend: "wasm", threads: 1 });
});
afterAll(() => tf.setBackend("cpu"));

const golden = (name: string) => fileURLToPath(new URL(`golden/${name}`, import.meta.url));
const draw = (label: string, shape: number[]) =>
  tf.tensor(random(label).normal(tf.util.sizeFromShape(shape)), shape);
const fill = (n: number, value: number) => tf.fill([n], value) as tf.Tensor1D;

describe("diffusers' UNet2DModel folders", () => {
  it.each(["plain", "scaled", "edm", "ddpm", "adm"])(
    "%s: the network and D(x; σ) are PyTorch's to 1e-4",
    async (name) => {
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
          assertAllClose(found, expected.denoised[i], {
            absolute: 1e-4 * Math.max(1, sigma),
            relative: 1e-4,
          });
        });
      }
      await tf.setBackend("wasm");
      model.dispose();
    },
  );

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

  // Parameters as UNet2DModel(**published) counts them.
  it.each([
    [
      "google/ddpm-cifar10-32",
      {
        ...{
          _class_name: "UNet2DModel",
          _diffusers_version: "0.0.4",
          act_fn: "silu",
          attention_head_dim: null,
        },
        ...{ block_out_channels: [128, 256, 256, 256], center_input_sample: false, downsample_padding: 0 },
        ...{ flip_sin_to_cos: false, freq_shift: 1, in_channels: 3, layers_per_block: 2, out_channels: 3 },
        ...{ mid_block_scale_factor: 1, norm_eps: 1e-6, norm_num_groups: 32, sample_size: 32 },
        down_block_types: ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
        up_block_types: ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
        time_embedding_type: "positional",
      },
      { tensors: 328, parameters: 35_746_307 },
    ],
    [
      "ADM on ImageNet at 64 × 64, as diffusers' script converts it",
      {
        ...{
          _class_name: "UNet2DModel",
          sample_size: 64,
          in_channels: 3,
          out_channels: 3,
          layers_per_block: 3,
        },
        ...{ num_class_embeds: 1000, block_out_channels: [192, 384, 576, 768], attention_head_dim: 64 },
        down_block_types: ["ResnetDownsampleBlock2D", ...new Array(3).fill("AttnDownBlock2D")],
        up_block_types: [...new Array(3).fill("AttnUpBlock2D"), "ResnetUpsampleBlock2D"],
        ...{ resnet_time_scale_shift: "scale_shift", attn_norm_num_groups: 32 },
        ...{ upsample_type: "resnet", downsample_type: "resnet" },
      },
      { tensors: 629, parameters: 295_899_267 },
    ],
  ])(
    "%s: its configuration has as many parameters, and is written as it was read",
    (_, published, counts) => {
      const config = unet2dConfigFromDiffusers(published);
      const shapes = [...unet2dParameters(config).values()].map(({ shape }) =>
        tf.util.sizeFromShape([...shape]),
      );
      expect({ tensors: shapes.length, parameters: shapes.reduce((a, b) => a + b, 0) }).toEqual(counts);
      const written = diffusersConfig(config);
      for (const [field, value] of Object.entries(published))
        if (!field.startsWith("_") && !/block_types/.test(field))
          expect(written[field], field).toEqual(value);
      expect(unet2dConfigFromDiffusers(written)).toEqual(config);
    },
  );

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
  it("EDM's nets of OpenAI hear 250·ln σ, and say so when they are written; consistency models are no denoisers", () => {
    const given = { _class_name: "EDMEulerScheduler", level_scale: 1000 };
    const { coefficients, scheduler } = parametrisationFromDiffusers(given);
    const [found, plain] = [
      coefficients,
      parametrisationFromDiffusers({ ...given, level_scale: 1 }).coefficients,
    ].map((of) => of(fill(1, 3)));
    expect(found!.level.dataSync()[0]).toBeCloseTo(250 * Math.log(3), 3);
    for (const name of ["skip", "out", "in"] as const)
      expect(found![name].dataSync()).toEqual(plain![name].dataSync());
    expect(parametrisationFromDiffusers({ ...scheduler }).scheduler).toEqual(scheduler);
    expect(scheduler).toMatchObject(given);
    expect(() => parametrisationFromDiffusers({ ...given, level_scale: 0 })).toThrow(/levelScale is 0/);
    expect(() => parametrisationFromDiffusers({ _class_name: "CMStochasticIterativeScheduler" })).toThrow(
      /consistency model's.*no denoiser/,
    );
  });
  it("DDPM's linear betas", () => {
    const { range } = parametrisationFromDiffusers({ _class_name: "DDPMScheduler" });
    expect(range[0]).toBeCloseTo(Math.sqrt(1 / 0.9999 - 1), 8);
    expect(range[1]).toBeCloseTo(157.407, 2);
  });
});
