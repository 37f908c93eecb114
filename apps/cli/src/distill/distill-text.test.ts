import "@tensorflow/tfjs";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { imageGrid } from "@fdiv/report";
import { random } from "@fdiv/tensor-core";
import { startBackend } from "@fdiv/tensor-core/node";
import { beforeAll, describe, expect, it } from "vitest";
import { fdiv, figuresOf, flags, rowsOf, signalled, silentSession } from "../command-line.testing.ts";
import { readConfig } from "../config/config-file.ts";
import { distill } from "./distill.ts";
import { distillSchema } from "./distill-schema.ts";
import { readmeCode, runModule } from "./readme-code.testing.ts";

/** The tiny pipeline that is held against diffusers. */
const pipeline = fileURLToPath(
  new URL("../../../../packages/models/src/text-to-image/golden/first", import.meta.url),
);
let place: string;
const silent = silentSession();

/** Sixty pictures of 10 × 10 in one of two shades, and the captions that say which. */
async function savePictures(): Promise<void> {
  await mkdir(join(place, "pictures"));
  const rows: object[] = [];
  for (let i = 0; i < 60; i++) {
    const noise = random(i).normal(300);
    const level = i % 2 === 0 ? 0.6 : -0.6;
    // A grid of one is the picture with a border of a pixel.
    const values = noise.map((z) => level + 0.1 * z);
    await writeFile(
      join(place, "pictures", `${i}.png`),
      imageGrid(values, { count: 1, height: 10, width: 10, channels: 3, zoom: 1 }),
    );
    const shade = i % 2 === 0 ? "light" : "dark";
    rows.push({ captions: [`a ${shade} picture`, shade], image: `${i}.png` });
  }
  const text = rows.map((row) => JSON.stringify(row)).join("\n");
  await writeFile(join(place, "captions.jsonl"), text);
  await writeFile(join(place, "words.txt"), "a light picture\na dark picture\n");
}

const text = (output: string) => [
  `data={ captions: ${join(place, "captions.jsonl")}, pictures: ${join(place, "pictures")}, size: 8, cache: ${join(place, "latents")} }`,
  `teacher.model=${pipeline}`,
  "guidance.scale=1.75",
  "divergence=js",
  "fakeLoss=clean",
  "noise={ kind: schedule-uniform, steps: [1, 999] }",
  "ratio.normaliser={ bins: 4, scale: schedule, decay: 0 }",
  "discriminator.hidden=8",
  "steps=9",
  "batchSize=6",
  "microBatch=3",
  "schedule.generatorEvery=3",
  "checkpointEvery=4",
  "previewEvery=5",
  "optimizers={ generator: { learningRate: 0.001 }, fake: { learningRate: 0.001 } }",
  "evaluation={ samples: 24, teacherSteps: [2] }",
  `output=${output}`,
];

beforeAll(async () => {
  await startBackend({ backend: "wasm", threads: 1 });
  place = await mkdtemp(join(tmpdir(), "fdiv-distill-text-"));
  await savePictures();
});

describe("fdiv distill on captions and pictures", () => {
  it("distils a text-to-image teacher, killed and resumed as if nothing had been", async () => {
    const [straight, killed] = [join(place, "straight"), join(place, "killed")];
    const said: string[] = [];
    const session = { ...silent, say: (line: string) => void said.push(line) };
    await distill(await readConfig(distillSchema, undefined, text(straight)), session, { dryRun: true });
    expect(said.join("\n")).toMatch(
      /60 latents of \[4,4,4\]; the teacher .*, \d{5} parameters; 9 steps of 6/,
    );
    expect(existsSync(straight)).toBe(false);
    expect(existsSync(join(place, "latents"))).toBe(false);
    const whole = await fdiv("distill", ...flags(text(straight)));
    expect(whole.err).toMatch(/latents of 60 pictures in .*, 60 of them made now[\s\S]*done: /);
    expect(whole.code).toBe(0);

    const args = (resume: boolean) => (resume ? [killed, "--resume"] : flags(text(killed)));
    await signalled(
      ["distill", ...args(false)],
      "SIGKILL",
      async () => {
        const found = existsSync(join(killed, "metrics.jsonl")) ? await rowsOf(killed) : [];
        expect(found.at(-1)?.step ?? 0).toBeGreaterThanOrEqual(5);
      },
      { timeout: 60_000, interval: 5 },
    );
    const again = await fdiv("distill", ...args(true));
    expect(again.err).toMatch(/latents of 60 pictures in .*, 0 of them made now/);
    expect(again.code).toBe(0);

    expect(figuresOf(await rowsOf(killed))).toEqual(figuresOf(await rowsOf(straight)));
    const weights = join("generator", "unet", "diffusion_pytorch_model.safetensors");
    expect((await readFile(join(killed, weights))).equals(await readFile(join(straight, weights)))).toBe(
      true,
    );
    expect(
      (await readFile(join(straight, weights))).equals(
        await readFile(join(pipeline, "unet", "diffusion_pytorch_model.safetensors")),
      ),
    ).toBe(false);

    const rows = await rowsOf(straight);
    expect(rows).toHaveLength(9);
    expect(rows.at(-1)).toHaveProperty("weightVariance");
    expect(rows.at(-1)!.skipped).toBe(0);
    const { generator } = JSON.parse(await readFile(join(straight, "evaluation.json"), "utf8"));
    expect(generator.rows.map((row: { name: string }) => row.name)).toEqual([
      "student, 1 step",
      "teacher, 2 Heun steps",
      "real",
    ]);
    for (const { figures: found } of generator.rows)
      for (const name of ["Fréchet (pooled latents)", "recall (pooled latents)"])
        expect(Number.isFinite(found[name])).toBe(true);
    expect(generator.calibration).toHaveLength(3);
    expect(await readdir(join(straight, "images"))).toContain("student.png");
    expect(await readdir(join(straight, "previews"))).toEqual(["step-000005.png"]);
    const page = await readFile(join(straight, "report.html"), "utf8");
    expect(page).toMatch(/Measures[\s\S]*Images[\s\S]*data:image\/png;base64/);
  }, 240_000);

  it("leaves a pipeline that makes a picture of a text in one step, by the README's lines", async () => {
    const { shape } = JSON.parse(
      await readFile(join(place, "straight", "generator", "generator.json"), "utf8"),
    );
    expect(shape).toEqual([4, 4, 4]);
    const code = await readmeCode("loadTextToImage");
    const printed = await runModule(code.replaceAll("runs/sd-js", join(place, "straight")));
    expect(printed).toMatch(/1, 8, 8, 3/);
  });

  it("takes captions alone under reverse KL, and other pictures to measure by", async () => {
    const run = join(place, "words");
    const settings = [
      `data={ captions: ${join(place, "words.txt")}, size: 8, cache: ${join(place, "latents")} }`,
      "ratio.source=none",
      "divergence=reverse-kl",
      ...text(run).filter(
        (setting) => !/^(data|divergence|ratio|discriminator|microBatch|evaluation)/.test(setting),
      ),
      "evaluation.teacherSteps=[2]",
    ];
    await distill(await readConfig(distillSchema, undefined, settings), silent);
    const { generator } = JSON.parse(await readFile(join(run, "evaluation.json"), "utf8"));
    expect(generator.rows.map((row: { name: string; figures: object }) => [row.name, row.figures])).toEqual([
      ["student, 1 step", {}],
      ["teacher, 2 Heun steps", {}],
    ]);
    const judged = join(place, "judged");
    const pairs = `captions: ${join(place, "captions.jsonl")}, pictures: ${join(place, "pictures")}`;
    const other = [
      ...settings,
      `evaluation={ samples: 24, teacherSteps: [2], ${pairs} }`,
      `output=${judged}`,
    ];
    await distill(await readConfig(distillSchema, undefined, other), silent);
    const found = JSON.parse(await readFile(join(judged, "evaluation.json"), "utf8"));
    expect(found.generator.rows).toHaveLength(3);
  }, 240_000);
});

describe("fdiv distill refuses, of texts", () => {
  it.each([
    [
      "captions without a pipeline",
      (s: string[]) => s.filter((one) => !one.startsWith("teacher")),
      /teacher\.model is due/,
    ],
    [
      "a discriminator without pictures",
      (s: string[]) => [...s, `data={ captions: ${join(place, "words.txt")}, size: 8 }`],
      /captions have none/,
    ],
    ["a size that does not halve", (s: string[]) => [...s, "data.size=9"], /9 is no multiple of 2/],
    ["a size beyond the U-Net's levels", (s: string[]) => [...s, "data.size=6"], /must be a multiple of 2/],
    [
      "a pipeline for images",
      (s: string[]) => [
        ...s.filter((one) => !/^(data|previewEvery)/.test(one)),
        "data.mixture.ring={ modes: 2, radius: 1, deviation: 0.1 }",
      ],
      /give data\.captions/,
    ],
    [
      "pictures of images",
      (s: string[]) => [...s.filter((one) => !one.startsWith("data")), `data={ images: x, pictures: y }`],
      /pictures and cache are for captions/,
    ],
    ["mirroring", (s: string[]) => [...s, "data.flip=true"], /flip are for images/],
    [
      "steps of another law",
      (s: string[]) => [...s, "noise={ kind: log-uniform, steps: [1, 2] }"],
      /schedule-uniform steps/,
    ],
    [
      "steps beyond the schedule",
      (s: string[]) => [...s, "noise.steps=[1, 1000]"],
      /within a schedule from 0 to 999/,
    ],
    ["pieces that do not divide", (s: string[]) => [...s, "microBatch=4"], /divisor of the batch size 6/],
    [
      "other captions that are not there",
      (s: string[]) => [...s, `evaluation.captions=${join(place, "nowhere.jsonl")}`],
      /nowhere\.jsonl: no such file/,
    ],
    [
      "a classifier of captions",
      (s: string[]) => [...s, "evaluation.features=[classifier]"],
      /takes images with labels/,
    ],
    [
      "more samples than there are captions",
      (s: string[]) => [
        ...s.filter((one) => !/^(data|divergence|ratio|discriminator|microBatch)/.test(one)),
        `data={ captions: ${join(place, "words.txt")}, size: 8 }`,
        "ratio.source=none",
        "divergence=reverse-kl",
      ],
      /evaluation\.samples: 24 of 2 captions; 2 is the most/,
    ],
    [
      "features without pictures",
      (s: string[]) => [
        ...s.filter((one) => !/^(data|divergence|ratio|discriminator|microBatch|evaluation)/.test(one)),
        `data={ captions: ${join(place, "words.txt")}, size: 8 }`,
        "ratio.source=none",
        "divergence=reverse-kl",
        "evaluation.features=[pooled-latents]",
      ],
      /evaluation\.features: there are no pictures to measure by/,
    ],
    ["pixels", (s: string[]) => [...s, "evaluation.features=[pixels]"], /pooled-latents or a module/],
  ])(
    "%s",
    async (_, change, message) => {
      const output = join(place, "refused");
      const attempt = async () => {
        const config = await readConfig(distillSchema, undefined, change(text(`${output}-${_}`)));
        await distill(config, silent);
      };
      await expect(attempt()).rejects.toThrow(message);
    },
    60_000,
  );
});
