import "@tensorflow/tfjs";
import { mkdir, mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkConfig, distillRun, distillSchema, type Session } from "@fdiv/cli";
import { createUnetDenoiser } from "@fdiv/models";
import { saveDenoiser } from "@fdiv/models/node";
import { imageGrid } from "@fdiv/report";
import { startBackend } from "@fdiv/tensor-core/node";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { closedForms } from "./closed-forms.ts";
import {
  averages,
  type DistillSweepRun,
  differencesFromFirst,
  type SweepResult,
  sweepTable,
} from "./distill-sweep.ts";
import { learnedRatio, relativeGradientDeviation, shiftedProblems } from "./gradient-variance.ts";

const folder = fileURLToPath(new URL("../../recipes/f-distill/", import.meta.url));
/** The tiny pipeline that is held against diffusers. */
const pipeline = fileURLToPath(
  new URL("../../../../packages/models/src/text-to-image/golden/first", import.meta.url),
);
let place: string;

beforeAll(async () => {
  await startBackend({ backend: "wasm", threads: 1 });
  place = await mkdtemp(join(tmpdir(), "fdiv-recipes-"));
});

/** A training folder as the recipes want it: a subfolder a class, PNGs inside, each with a frame of a pixel. */
async function pictureFolder(
  name: string,
  { height, width, grey }: { height: number; width: number; grey: boolean },
): Promise<string> {
  const pictures = join(place, name);
  for (let label = 0; label < 10; label++) {
    await mkdir(join(pictures, `class ${label}`), { recursive: true });
    for (let i = 0; i < 6; i++) {
      const channels = grey ? 1 : 3;
      const values = Float32Array.from({ length: height * width * channels }, (_, k) =>
        Math.sin(6 * label + i + k),
      );
      const file = imageGrid(values, { count: 1, height, width, channels, zoom: 1 });
      await writeFile(join(pictures, `class ${label}`, `${i}.png`), file);
    }
  }
  return pictures;
}

const silent: Session = {
  backend: { backend: "wasm", detail: "", threads: 1 } as never,
  say: () => undefined,
  warn: () => undefined,
  progress: () => ({}),
  signal: new AbortController().signal,
  close: () => undefined,
};

/** Whether each phase took its step: one row an iteration, with a gradient of every net. */
async function checkPhases(output: string, iterations: number): Promise<void> {
  const rows = (await readFile(join(output, "metrics.jsonl"), "utf8")).trim().split("\n");
  const last = JSON.parse(rows.at(-1)!);
  expect(rows).toHaveLength(iterations);
  expect(last.skipped).toBe(0);
  expect(last.generatorGradientNorm).toBeGreaterThan(0);
  expect(JSON.parse(rows[0]!).discriminatorGradientNorm).toBeGreaterThan(0);
}

describe("the recipes", () => {
  // Grey pictures of another size are what the nets take only where the recipe's own size and channels count.
  it.each([
    ["cifar10.yaml", { height: 6, width: 6, grey: false }],
    ["imagenet64.yaml", { height: 65, width: 71, grey: true }],
  ])(
    "%s resolves, and its nets take a step of each phase on random weights, few channels and few pictures",
    async (name, pictures) => {
      expect(await readdir(folder)).toContain(name);
      const recipe = parse(await readFile(join(folder, name), "utf8"));
      const whole = checkConfig(distillSchema, recipe, name);
      expect(whole.divergence).toBe("jensen-shannon");
      expect(whole.batchSize % whole.microBatch!).toBe(0);
      const model = join(place, `${name}-teacher`);
      await saveDenoiser(
        createUnetDenoiser({
          channels: 3,
          blockChannels: [4, 4, 4],
          normGroups: 2,
          headSize: 4,
          labels: whole.conditional ? 1000 : 0,
          sampleSize: whole.data.size ?? 8,
        }),
        model,
      );
      const output = join(place, `${name}-run`);
      const reduced = checkConfig(
        distillSchema,
        {
          ...recipe,
          data: { ...recipe.data, images: await pictureFolder(`${name}-pictures`, pictures) },
          teacher: { model },
          steps: whole.schedule.generatorEvery,
          batchSize: 2,
          microBatch: 1,
          evaluation: {
            samples: 24,
            teacherSteps: [2],
            classifier: { steps: 2, blockChannels: [8], features: 4 },
          },
          output,
        },
        name,
      );
      await distillRun(reduced, silent);
      await checkPhases(output, 5);
    },
    240_000,
  );

  it("small-images.yaml resolves, and trains, distils and measures at reduced size", async () => {
    const name = "small-images.yaml";
    const recipe = parse(await readFile(join(folder, name), "utf8"));
    const whole = checkConfig(distillSchema, recipe, name);
    const output = join(place, `${name}-run`);
    const { net, optimizer } = recipe.teacher.train;
    const reduced = {
      ...recipe,
      data: { images: await pictureFolder("small-pictures", { height: 8, width: 8, grey: true }) },
      teacher: { train: { net: { ...net, hidden: 8 }, optimizer, steps: 2, batchSize: 4 } },
      steps: whole.schedule.generatorEvery,
      batchSize: 4,
      evaluation: {
        samples: 24,
        teacherSteps: [2],
        classifier: { steps: 2, blockChannels: [8], features: 4 },
      },
      output,
    };
    await distillRun(checkConfig(distillSchema, reduced, name), silent);
    await checkPhases(output, 4);
  }, 120_000);

  it("coco-sd15.yaml resolves, and a pipeline of random weights takes a step of each phase in two pieces", async () => {
    const name = "coco-sd15.yaml";
    const recipe = parse(await readFile(join(folder, name), "utf8"));
    const whole = checkConfig(distillSchema, recipe, name);
    expect(whole.divergence).toBe("jensen-shannon");
    expect(whole.batchSize % whole.microBatch!).toBe(0);
    const pictures = join(place, "pictures");
    await mkdir(pictures);
    const rows: object[] = [];
    for (let i = 0; i < 48; i++) {
      const values = Float32Array.from({ length: 192 }, (_, k) => Math.sin(i + k));
      const file = imageGrid(values, { count: 1, height: 8, width: 8, channels: 3, zoom: 1 });
      await writeFile(join(pictures, `${i}.png`), file);
      rows.push({ caption: `a photo of ${i} cats`, image: `${i}.png` });
    }
    const captions = join(place, "captions.jsonl");
    await writeFile(captions, rows.map((row) => JSON.stringify(row)).join("\n"));
    const output = join(place, `${name}-run`);
    const reduced = checkConfig(
      distillSchema,
      {
        ...recipe,
        data: { captions, pictures, size: 8, cache: join(place, "latents") },
        teacher: { model: pipeline },
        discriminator: { ...recipe.discriminator, hidden: 8 },
        steps: whole.schedule.generatorEvery,
        batchSize: 4,
        microBatch: 2,
        evaluation: { captions, pictures, samples: 24, teacherSteps: [2] },
        output,
      },
      name,
    );
    await distillRun(reduced, silent);
    await checkPhases(output, 10);
  }, 240_000);
});

/** A run whose one figure is a value, and what it logged twice that. */
const run = (row: string, value: number): [DistillSweepRun, SweepResult] => [
  { name: `${row}${value}`, row, config: {} },
  {
    evaluation: {
      rows: [
        {
          name: "student, 1 step",
          samples: 9,
          figures: { recall: value, "class KL": Number.POSITIVE_INFINITY },
        },
      ],
      calibration: [],
      points: [],
    },
    logged: { weightVariance: 2 * value },
  },
];

it("a sweep's table has means over runs with their intervals, and leaves out what is not finite", () => {
  const rows = averages(new Map([run("a", 1), run("a", 2), run("a", 3), run("b", 5)]));
  expect(rows.map(({ row, runs }) => [row, runs])).toEqual([
    ["a", 3],
    ["b", 1],
  ]);
  expect(rows[0]!.figures.recall!.value).toBe(2);
  // Student's quantile at two degrees of freedom, over √3.
  expect((rows[0]!.figures.recall!.high - 2) * Math.sqrt(3)).toBeCloseTo(4.3027, 3);
  const table = sweepTable(rows, ["recall", "weightVariance", "class KL"]);
  expect(table).toMatch(/\| a \| 3 \| 2 ± 2\.5 \| 4 ± 5 \| – \|/);
  expect(table).toMatch(/\| b \| 1 \| 5 \| 10 \| – \|/);
});

it("differences are taken run by run, so that what runs share goes out of them", () => {
  const results = new Map([
    ...[1, 20, 300].map((value) => run("a", value)),
    ...[0, 19, 296].map((value) => run("b", value)),
    run("c", 1),
  ]);
  const differences = differencesFromFirst(results, ["recall", "class KL"]);
  // A row of fewer runs has nothing to be compared with.
  expect(differences.map(({ row, runs }) => [row, runs])).toEqual([["a less b", 3]]);
  const { recall, ...others } = differences[0]!.figures;
  expect(recall!.value).toBeCloseTo(2, 12);
  expect((recall!.high - recall!.low) / 2).toBeCloseTo(4.3027, 3);
  expect(others).toEqual({});
});

it("what is known in closed form is found, on a generator's parameters too", () => {
  const forms = closedForms();
  expect(forms.filter(({ name }) => /∂D\/∂deviation/.test(name))).toHaveLength(12);
  for (const { name, exact, found } of forms) {
    // Numbers that are known to so many digits alone, and weights whose tails reach beyond the nodes' float32.
    const tolerance = /three digits|four digits/.test(name) ? 2e-3 : /Var.* = 2$/.test(name) ? 1e-3 : 1e-4;
    expect(Math.abs(found - exact), name).toBeLessThan(tolerance * Math.max(Math.abs(exact), 0.1));
  }
});

describe("the gradient's deviation", () => {
  const [oneAway] = shiftedProblems;

  it("is that of the weights: none under reverse KL, the closed form's under forward KL", () => {
    expect(relativeGradientDeviation("reverse-kl", oneAway!)).toBeLessThan(1e-5);
    // Var(h)/E(h)² = e^{μ²} − 1 at no noise, over a batch of 256.
    const expected = Math.sqrt((Math.E - 1) / 256);
    expect(Math.abs(relativeGradientDeviation("forward-kl", oneAway!) / expected - 1)).toBeLessThan(0.25);
  });

  it("of a mixture is the scores' alone under reverse KL, whichever ratio there is", () => {
    const modes = shiftedProblems.find(({ label }) => label === "three modes")!;
    const flat = () => ({ logits: tf.zeros([256, 1]) });
    const scores = relativeGradientDeviation("reverse-kl", modes);
    expect(relativeGradientDeviation("reverse-kl", modes, flat)).toBeCloseTo(scores, 6);
    // A ratio that tells nothing weighs all alike.
    expect(relativeGradientDeviation("forward-kl", modes, flat)).toBeCloseTo(scores, 6);
    expect(relativeGradientDeviation("forward-kl", modes)).toBeGreaterThan(1.2 * scores);
  });

  it("with a learned ratio is near the known one's: the discriminator finds log p_t − log q_t", () => {
    const { ratio, dispose } = learnedRatio(oneAway!);
    const [x, levels] = [tf.fill([256, 1], 1.5), tf.fill([256], 0.1)];
    // (x − 1)²/2·1.01 − x²/2·1.01 = (½ − x)/1.01.
    const { logits } = ratio(x, levels as tf.Tensor1D);
    expect(Math.abs(logits!.dataSync()[0]! - -1 / 1.01)).toBeLessThan(0.15);
    dispose();
  }, 60_000);
});
