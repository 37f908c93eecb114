import "@tensorflow/tfjs";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { oneStepGenerator } from "@fdiv/distill";
import { unetFromDiffusers } from "@fdiv/models";
import { loadDenoiser } from "@fdiv/models/node";
import { random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { fdiv, figuresOf, flags, rowsOf, signalled } from "../command-line.testing.ts";
import { barSettings, saveBars } from "./bars.testing.ts";
import { readmeCode, runModule } from "./readme-code.testing.ts";

let place: string;

const images = (): string[] => barSettings(place);

beforeAll(async () => {
  await tf.setBackend("cpu");
  place = await mkdtemp(join(tmpdir(), "fdiv-distill-"));
  await saveBars(place);
});

describe("fdiv distill on images", () => {
  it("trains, distils, measures and reports, killed and resumed as if nothing had been", async () => {
    const [straight, killed] = [join(place, "straight"), join(place, "killed")];
    const settings = (output: string) =>
      flags([...images(), "conditional=true", "guidance.scale=1.5", "divergence=js", `output=${output}`]);
    const whole = await fdiv("distill", ...settings(straight));
    expect(whole.err).toMatch(/120 images of \[4,4,1\], 2 classes; a teacher of \d+ parameters[\s\S]*done: /);
    expect(whole.code).toBe(0);

    const stage = async (ready: () => Promise<boolean>, signal: "SIGKILL" | "SIGINT", resume: boolean) => {
      const args = resume ? [killed, "--resume"] : settings(killed);
      const isReady = async () => expect(await ready()).toBe(true);
      return signalled(["distill", ...args], signal, isReady, { timeout: 40_000, interval: 5 });
    };
    const reached = (run: string, step: number) => async () =>
      existsSync(join(run, "metrics.jsonl")) && ((await rowsOf(run)).at(-1)?.step ?? 0) >= step;
    await stage(reached(join(killed, "teacher"), 6), "SIGKILL", false);
    expect(await stage(reached(killed, 5), "SIGINT", true)).toBe(130);
    const saved = (await rowsOf(killed)).length;
    expect(saved).toBeLessThan(14);
    await stage(reached(killed, saved + 1), "SIGKILL", true);
    expect((await fdiv("distill", killed, "--resume")).code).toBe(0);

    for (const part of ["", "teacher"])
      expect(figuresOf(await rowsOf(join(killed, part)))).toEqual(
        figuresOf(await rowsOf(join(straight, part))),
      );
    for (const file of ["generator", "teacher/model"].map((name) =>
      join(name, "unet", "diffusion_pytorch_model.safetensors"),
    ))
      expect((await readFile(join(killed, file))).equals(await readFile(join(straight, file)))).toBe(true);

    const rows = await rowsOf(straight);
    expect(rows).toHaveLength(14);
    expect(rows[2]).toHaveProperty("weightVariance");
    expect(rows[2]).not.toHaveProperty("fakeLoss");
    const { generator } = JSON.parse(await readFile(join(straight, "evaluation.json"), "utf8"));
    expect(generator.rows.map((row: { name: string }) => row.name)).toEqual([
      "student, 1 step",
      "teacher, 3 Heun steps",
      "real",
    ]);
    for (const { samples, figures: found } of generator.rows) {
      expect(samples).toBe(24);
      for (const name of ["Fréchet (classifier)", "recall (classifier)", "class KL", "class as asked"])
        expect(Number.isFinite(found[name])).toBe(true);
    }
    expect(generator.calibration).toHaveLength(3);
    expect((await readdir(join(straight, "images"))).sort()).toEqual([
      "fake-denoiser.png",
      "real.png",
      "student.png",
      "teacher-3.png",
    ]);
    expect(await readdir(join(straight, "previews"))).toEqual(["step-000005.png", "step-000010.png"]);
    const page = await readFile(join(straight, "report.html"), "utf8");
    expect(page).toMatch(/Measures[\s\S]*Images[\s\S]*data:image\/png;base64[\s\S]*Calibration of the ratio/);

    const folder = join(straight, "generator");
    const { sigmaMax, shape, classes } = JSON.parse(await readFile(join(folder, "generator.json"), "utf8"));
    expect([sigmaMax, shape, classes]).toEqual([80, [4, 4, 1], 2]);
    const net = await loadDenoiser(folder, { trainable: true });
    const z = tf.tensor(random(1).normal(32), [2, ...shape]);
    const made = oneStepGenerator(net, { sigmaMax }).generate(z, tf.tensor1d([0, 1], "int32"));
    expect(made.shape).toEqual([2, 4, 4, 1]);
    expect(made.dataSync().every(Number.isFinite)).toBe(true);
    expect((await fdiv("distill", ...settings(straight))).err).toMatch(/already holds a run/);

    const other = ["distill", straight, "--resume", "--set", "evaluation.teacherSteps=[2]"];
    expect((await fdiv(...other, "--set", "divergence=jeffreys")).err).toMatch(
      /Changed: divergence was "js", is "jeffreys"\.\n$/,
    );
    expect((await fdiv(...other)).err).toMatch(/measuring: teacher, 2 Heun steps\n[\s\S]*done: /);
  }, 240_000);

  it("the README's lines in Node make pictures of the generator", async () => {
    const code = await readmeCode("loadDenoiser");
    const printed = await runModule(code.replaceAll("runs/digits", join(place, "straight")));
    expect(printed).toMatch(/16, 4, 4, 1/);
  });

  it("and those of a page draw one, on any backend", async () => {
    // What its imports name is handed in.
    const code = (await readmeCode("fetch(")).replace(/^import .*$/gm, "");
    const asked: string[] = [];
    const fetchFile = async (path: string): Promise<Response> => {
      asked.push(path);
      return new Response(new Uint8Array(await readFile(join(place, "straight", path))));
    };
    const drawn: { picture: tf.Tensor; canvas: unknown }[] = [];
    const page = { querySelector: (name: string) => name };
    const browser = {
      ...tf.browser,
      toPixels: async (picture: tf.Tensor, canvas: unknown) => drawn.push({ picture, canvas }),
    };
    const lines = Object.getPrototypeOf(async () => undefined).constructor as new (
      ...parts: string[]
    ) => (...values: unknown[]) => Promise<void>;
    const names = ["tf", "unetFromDiffusers", "oneStepGenerator", "fetch", "document"];
    await new lines(...names, code)({ ...tf, browser }, unetFromDiffusers, oneStepGenerator, fetchFile, page);
    expect(asked.sort()).toEqual(
      [
        "generator.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
      ].map((file) => `generator/${file}`),
    );
    expect(drawn).toHaveLength(1);
    expect(drawn[0]!.canvas).toBe("canvas");
    expect(drawn[0]!.picture.shape).toEqual([4, 4, 1]);
    const values = drawn[0]!.picture.dataSync();
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThanOrEqual(1);
  });

  it("distils the teacher of another run by reverse KL without a discriminator", async () => {
    const run = join(place, "given");
    const settings = [
      ...images().filter((setting) => !/^(teacher|discriminator|evaluation)/.test(setting)),
      `teacher.model=${join(place, "straight", "teacher", "model")}`,
      "conditional=true",
      "divergence=reverse-kl",
      "ratio.source=none",
      "evaluation={ samples: 24, teacherSteps: [3], features: [pixels] }",
      "ema=false",
      `output=${run}`,
    ];
    const dry = await fdiv("distill", ...flags(settings), "--dry-run");
    expect(dry.err).toMatch(
      /the teacher .*, \d+ parameters; 14 steps of 6 under reverse-kl.*; about \d+s for the distillation/,
    );
    expect(existsSync(run)).toBe(false);
    expect((await fdiv("distill", ...flags(settings))).code).toBe(0);
    const { generator } = JSON.parse(await readFile(join(run, "evaluation.json"), "utf8"));
    expect(generator.calibration).toEqual([]);
    expect(generator.rows[0].figures).toHaveProperty(["Fréchet (pixels)"]);
    expect(existsSync(join(run, "classifier"))).toBe(false);
  }, 120_000);
});
