import "@tensorflow/tfjs";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMlpDenoiser, createUnetDenoiser } from "@fdiv/models";
import { saveDenoiser } from "@fdiv/models/node";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { fdiv, flags, silentSession } from "../command-line.testing.ts";
import { readConfig } from "../config/config-file.ts";
import { barSettings, saveBars } from "./bars.testing.ts";
import { checkDistillation } from "./check-distillation.ts";
import { distill } from "./distill.ts";
import { openData } from "./distill-data.ts";
import { distillSchema } from "./distill-schema.ts";

let place: string;
const silent = silentSession();
const ring = "data={ mixture: { ring: { modes: 4, radius: 1, deviation: 0.2 } } }";

/** The bars' settings but for those that start with one of some words. */
const bars = (...without: string[]): string[] =>
  barSettings(place).filter((setting) => !without.some((word) => setting.startsWith(word)));
const points = (...more: string[]): string[] => [ring, "ratio.source=samples", ...more];

beforeAll(async () => {
  await tf.setBackend("cpu");
  place = await mkdtemp(join(tmpdir(), "fdiv-distill-refusals-"));
  await saveBars(place);
  const points = createMlpDenoiser({ dimensions: 2, hidden: 4, layers: 1 });
  await saveDenoiser(points, join(place, "of-points"));
  const colours = { blockChannels: [8], normGroups: 4, headSize: 8 };
  await saveDenoiser(createUnetDenoiser({ channels: 3, ...colours }), join(place, "of-colours"));
  const deep = { channels: 1, blockChannels: [8, 8, 8, 8], normGroups: 4, headSize: 8 };
  await saveDenoiser(createUnetDenoiser(deep), join(place, "deep"));
  await saveDenoiser(points, join(place, "run", "teacher", "model"));
  for (const folder of ["run", join("run", "teacher")])
    await writeFile(join(place, folder, "metrics.jsonl"), "");
  const whole = await readFile(join(place, "bars"));
  await writeFile(join(place, "cut"), whole);
  await truncate(join(place, "cut"), whole.length - 5);
});

/** One message, and nothing written: what a dry run refuses a run refuses too. */
async function expectRefused(settings: readonly string[], message: RegExp): Promise<void> {
  const output = join(place, "refused");
  for (const dryRun of [true, false]) {
    const attempt = async () => {
      const config = await readConfig(distillSchema, undefined, [...settings, `output=${output}`]);
      await distill(config, silent, { dryRun });
    };
    await expect(attempt()).rejects.toThrow(message);
    expect(existsSync(output)).toBe(false);
  }
}

describe("fdiv distill refuses, in one message, before it trains", () => {
  it.each([
    ["a divergence with kinks", ["divergence=total-variation"], /total-variation .*jumps/],
    ["a ratio that is nowhere", ["ratio.source=none", "divergence=js"], /weighs by the density ratio/],
    ["a density that is unknown", ["ratio.source=samples"], /only a mixture has/],
    ["an idle option", ["ratio={ source: none, logitClamp: 3 }"], /are for the source discriminator/],
    ["training of a given teacher", ["teacher={ model: x, train: {} }"], /a model is given/],
    ["an unknown key", ["guidence.scale=2"], /unknown key "guidence"; did you mean "guidance"/],
    ["guidance without classes", ["guidance.scale=2"], /set conditional/],
    ["a critic that never trains", ["schedule.generatorEvery=1"], /critic would never train/],
    ["a feature that is none", ["discriminator.features=[7]"], /no feature 7/],
    ["labels that do not fit", ["data.limit=3", "data.labels=nowhere"], /nowhere: no such file/],
    ["two sources", ["data.points=x.npy"], /one of images, points, mixture, captions is due/],
  ])("%s", (_, extra, message) => expectRefused([...bars("discriminator"), ...extra], message));

  it("truncated images", () =>
    expectRefused(
      [`data.images=${join(place, "cut")}`],
      /cut: the header says \[120,4,4\], 1920 bytes, and 1915 follow; the file is cut/,
    ));

  it.each([
    ["of points", "of-points", /of-points: the teacher is of 2 dimensions, the data of 16/],
    ["of colours", "of-colours", /of-colours: the teacher is of 3 channels, the data of 1/],
    ["with too many levels", "deep", /deep: 4 levels .* multiples of 8; they are 4 × 4/],
    ["by the run around it", "run", /run is a run's directory; its teacher is in .*run.teacher.model/],
    [
      "by the folder around it",
      join("run", "teacher"),
      /teacher is a run's directory; its teacher is in .*teacher.model/,
    ],
  ])("a teacher %s", (_, folder, message) =>
    expectRefused([...bars("teacher", "discriminator"), `teacher.model=${join(place, folder)}`], message),
  );
});

describe("fdiv distill refuses, before it trains, an evaluation that would fail after it", () => {
  it.each([
    ["too few examples", ["data.limit=30"], /30 examples are too few to measure by; 48 or more/],
    [
      "more samples than there are",
      ["evaluation.samples=61"],
      /evaluation\.samples: 61 of 120 examples.* 60 is the most/,
    ],
    [
      "too many neighbours",
      ["evaluation.neighbours=12"],
      /evaluation\.neighbours: 12 take 26 samples .* there are 24/,
    ],
    [
      "a classifier that is nowhere",
      ["evaluation.classifier={ model: nowhere }"],
      /evaluation\.classifier\.model: nowhere: no such file/,
    ],
    [
      "a classifier of odd sizes",
      ["evaluation.classifier.blockChannels=[12]"],
      /evaluation\.classifier: .*multiples of 8/,
    ],
    [
      "a module that is nowhere",
      ["evaluation={ features: [nowhere.mjs] }"],
      /evaluation\.features: nowhere\.mjs can't be loaded/,
    ],
  ])("%s", (_, extra, message) => expectRefused([...bars(), ...extra], message));

  it.each([
    ["a divergence that there is not", ["evaluation.divergences=[foo]"], /evaluation\.divergences: .*foo/],
    [
      "a teacher's noise that it has not",
      ["teacher.train.noise.kind=schedule-uniform"],
      /teacher\.train\.noise\.kind: schedule-uniform/,
    ],
  ])("%s", (_, extra, message) => expectRefused(points(...extra), message));

  it("a net with more levels than the images have", () =>
    expectRefused(
      [...bars("teacher"), "teacher.train.net={ blockChannels: [8, 8, 8, 8], normGroups: 4, headSize: 8 }"],
      /teacher\.train\.net\.blockChannels: 4 levels halve images 3 times.* multiples of 8; they are 4 × 4/,
    ));
});

describe("fdiv distill refuses what would change nothing, by its key", () => {
  it.each([
    [
      "an MLP's size on images",
      ["teacher.train.net.hidden=256"],
      /teacher\.train\.net\.hidden: is of an MLP/,
    ],
    [
      "a U-Net's on an MLP",
      ["teacher.train.net.kind=mlp"],
      /teacher\.train\.net\.blockChannels: is of a U-Net/,
    ],
    [
      "dropped labels without any",
      ["teacher.train.dropLabels=0.2"],
      /teacher\.train\.dropLabels: .*set conditional/,
    ],
    ["a level of quadrature", ["evaluation.sigma=0.1"], /evaluation\.sigma: .*only a mixture/],
    ["divergences by it", ["evaluation.divergences=[js]"], /evaluation\.divergences: .*only a mixture/],
    [
      "a classifier beside pixels",
      ["evaluation.features=[pixels]"],
      /evaluation\.classifier: it is not among evaluation\.features/,
    ],
    [
      "the training of a given classifier",
      ["evaluation.classifier.model=x"],
      /a classifier that is trained; a model is given/,
    ],
    [
      "a level beyond the teacher's",
      ["sigmaMax=500"],
      /sigmaMax: 500 is beyond the teacher's noise levels, 0\.002 to 80/,
    ],
    ["noise beyond them", ["noise={ kind: karras-uniform, max: 90 }"], /noise\.max: 90 is beyond/],
    [
      "less noise than they have",
      ["fakeNoise={ kind: log-uniform, min: 0.0001 }"],
      /fakeNoise\.min: 0\.0001 is beyond/,
    ],
    [
      "a teacher's own",
      ["teacher.train.noise={ kind: log-uniform, max: 90 }"],
      /teacher\.train\.noise\.max: 90 is beyond/,
    ],
    [
      "noise of no width",
      ["sigmaMax=1", "noise={ kind: log-uniform, min: 2 }"],
      /noise: levels from 2 to 1 are none/,
    ],
  ])("%s", (_, extra, message) => expectRefused([...bars(), ...extra], message));

  it("a classifier of images without labels", () =>
    expectRefused(bars("data.labels"), /evaluation\.classifier: it takes images with labels/));

  it.each([
    ["a limit of a mixture", ["data.limit=20"], /data\.limit: a mixture has no end/],
    ["pictures of points", ["previewEvery=5"], /previewEvery: points have no pictures/],
    ["a classifier of points", ["evaluation.classifier={}"], /evaluation\.classifier: takes images/],
    [
      "a U-Net's size on points",
      ["teacher.train.net={ headSize: 8 }"],
      /headSize: is of a U-Net, .* as points take/,
    ],
    [
      "quadrature in three dimensions",
      ["data={ mixture: { components: [{ mean: [0, 0, 0], covariance: 1 }] } }", "evaluation.sigma=1"],
      /evaluation\.sigma: .*the mixture has 3/,
    ],
  ])("%s", (_, extra, message) => expectRefused(points(...extra), message));

  it("and takes the same settings without it, a run's own config.json included", async () => {
    const settings = [
      bars(),
      points(),
      [...bars("teacher", "evaluation"), "teacher.train.net={ kind: mlp }"],
    ];
    for (const some of settings) {
      const config = await readConfig(distillSchema, undefined, [...some, `output=${join(place, "taken")}`]);
      const file = join(place, "config.json");
      await writeFile(file, JSON.stringify(config));
      const again = await readConfig(distillSchema, file);
      const data = await openData(again);
      expect(await checkDistillation(again, data, data)).toMatch(/a teacher of \d+ parameters/);
    }
  });
});

it("fdiv distill ends with exit code 1 and no stack", async () => {
  const settings = [...barSettings(place), "divergence=total-variation", `output=${join(place, "refused")}`];
  const { code, err } = await fdiv("distill", ...flags(settings));
  expect(code).toBe(1);
  expect(err).toMatch(/total-variation can't weigh distribution matching/);
  expect(err).not.toMatch(/ at .*\.ts:\d/);
});
