import "@tensorflow/tfjs";
import { existsSync } from "node:fs";
import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startBackend } from "@fdiv/tensor-core/node";
import { beforeAll, describe, expect, it } from "vitest";
import { rowsOf, silentSession } from "../command-line.testing.ts";
import { readConfig } from "../config/config-file.ts";
import { Interrupted } from "../failure.ts";
import { barSettings, saveBars } from "./bars.testing.ts";
import { distill } from "./distill.ts";
import { distillSchema } from "./distill-schema.ts";
import type { DistillationEvaluation } from "./evaluate-distillation.ts";

let place: string;

beforeAll(async () => {
  await startBackend({ backend: "wasm", threads: 1 });
  place = await mkdtemp(join(tmpdir(), "fdiv-distill-resume-"));
  await saveBars(place);
  await distilled("whole");
}, 240_000);

/** Runs what was set, what was changed of it last; the lines that it said. Stopped as by Ctrl-C once a line says a text. */
async function distilled(
  name: string,
  changes: readonly string[] = [],
  { resume = false, until }: { resume?: boolean; until?: string } = {},
): Promise<string[]> {
  const said: string[] = [];
  const stop = new AbortController();
  const session = {
    ...silentSession(),
    signal: stop.signal,
    say(line: string) {
      said.push(line);
      if (until !== undefined && line.includes(until)) stop.abort();
    },
  };
  const settings = [...barSettings(place), ...changes, `output=${join(place, name)}`];
  await distill(await readConfig(distillSchema, undefined, settings), session, { resume });
  return said;
}

/** A copy of the run that nothing was changed of. */
async function copied(name: string): Promise<string> {
  const run = join(place, name);
  await cp(join(place, "whole"), run, { recursive: true });
  return run;
}

const measured = (said: readonly string[]): string[] =>
  said.flatMap((line) => (line.startsWith("measuring: ") ? [line.slice(11)] : []));

async function evaluationOf(name: string): Promise<DistillationEvaluation["generator"]> {
  return JSON.parse(await readFile(join(place, name, "evaluation.json"), "utf8")).generator;
}

const weightsOf = (name: string, part: string) =>
  readFile(join(place, name, part, "unet", "diffusion_pytorch_model.safetensors"));

const sources = ["student, 1 step", "teacher, 3 Heun steps", "real", "what the critics make of the student"];

describe("fdiv distill --resume", () => {
  it("refuses a teacher that the run trained with other settings, though no checkpoint is left", async () => {
    const run = await copied("other-teacher");
    for (const part of ["", "teacher"])
      await rm(join(run, part, "checkpoints"), { recursive: true, force: true });
    const before = await readFile(join(run, "config.json"), "utf8");
    await expect(
      distilled("other-teacher", ["teacher.train.steps=13", "teacher.train.net.normGroups=2"], {
        resume: true,
      }),
    ).rejects.toThrow(
      /teacher was made with other settings: teacher\.train\.net\.normGroups was 4, is 2; teacher\.train\.steps was 12, is 13\. Resume with those/,
    );
    await expect(distilled("other-teacher", ["data.limit=119"], { resume: true })).rejects.toThrow(
      /data\.limit was absent, is 119; the data are others/,
    );
    expect(await readFile(join(run, "config.json"), "utf8")).toBe(before);
  }, 240_000);

  it("refuses a distillation under other settings by their keys, and leaves the run as it was", async () => {
    const run = await copied("other-distillation");
    const texts = () =>
      Promise.all(
        ["config.json", "metrics.jsonl", "evaluation.json"].map((file) => readFile(join(run, file), "utf8")),
      );
    const before = await texts();
    await expect(
      distilled("other-distillation", ["divergence=jeffreys", "evaluation.teacherSteps=[2]"], {
        resume: true,
      }),
    ).rejects.toThrow(
      /another configuration or other data.*Changed: divergence was "jensen-shannon", is "jeffreys"\.$/,
    );
    expect(await texts()).toEqual(before);
  }, 240_000);

  it("refuses another teacher in the place of the one it was given", async () => {
    const model = join(place, "given");
    await cp(join(place, "whole", "teacher", "model"), model, { recursive: true });
    const settings = [
      ...barSettings(place).filter((setting) => !setting.startsWith("teacher")),
      `teacher.model=${model}`,
      `output=${join(place, "of-given")}`,
    ];
    const attempt = async (resume: boolean) =>
      distill(await readConfig(distillSchema, undefined, settings), silentSession(), { resume });
    await attempt(false);
    await attempt(true);
    await cp(join(place, "whole", "generator"), model, { recursive: true });
    await expect(attempt(true)).rejects.toThrow(/another configuration or other data/);
  }, 240_000);

  it("refuses a classifier of other settings before it trains, and trains it anew once it is removed", async () => {
    const run = await copied("other-classifier");
    const change = ["evaluation.classifier.steps=9"];
    await expect(distilled("other-classifier", change, { resume: true })).rejects.toThrow(
      /classifier was made with other settings: evaluation\.classifier\.steps was 8, is 9\. .*remove .*classifier to have it/,
    );
    await rm(join(run, "classifier"), { recursive: true });
    expect(measured(await distilled("other-classifier", change, { resume: true }))).toEqual(sources);
    expect(await rowsOf(join(run, "classifier"))).toHaveLength(9);
  }, 240_000);

  it("takes a corrected evaluation, trains nothing again and mixes no measures", async () => {
    const run = await copied("corrected");
    const [weights, rows] = [await weightsOf("corrected", "generator"), await rowsOf(run)];
    const corrected = ["evaluation.teacherSteps=[2]", "evaluation.samples=30", "previewEvery=4", "keep=2"];
    expect(measured(await distilled("corrected", corrected, { resume: true }))).toEqual(
      sources.map((name) => name.replace("3 Heun", "2 Heun")),
    );
    const evaluation = await evaluationOf("corrected");
    expect(evaluation.rows.map(({ name, samples }) => [name, samples])).toEqual([
      ["student, 1 step", 30],
      ["teacher, 2 Heun steps", 30],
      ["real", 30],
    ]);
    expect(await readdir(join(run, "images"))).not.toContain("teacher-3.png");
    expect((await weightsOf("corrected", "generator")).equals(weights)).toBe(true);
    expect(await rowsOf(run)).toEqual(rows);
    await distilled("straight", ["evaluation.teacherSteps=[2]", "evaluation.samples=30"]);
    expect(evaluation).toEqual(await evaluationOf("straight"));
  }, 240_000);

  it("stops while it measures, keeps the rows it has, and goes on to the same figures", async () => {
    const stopped = distilled("stopped", [], { until: "measuring: teacher" });
    await expect(stopped).rejects.toThrow(Interrupted);
    await expect(stopped).rejects.toThrow(/while measuring teacher, 3 Heun steps; .* Add --resume/);
    expect(existsSync(join(place, "stopped", "evaluation.json"))).toBe(false);
    expect(measured(await distilled("stopped", [], { resume: true }))).toEqual(sources.slice(1));
    expect(await evaluationOf("stopped")).toEqual(await evaluationOf("whole"));
    expect(await readdir(join(place, "stopped", "images"))).toEqual(
      await readdir(join(place, "whole", "images")),
    );
    expect(measured(await distilled("stopped", [], { resume: true }))).toEqual([]);
    expect(await evaluationOf("stopped")).toEqual(await evaluationOf("whole"));
  }, 240_000);

  it("drops what was measured when the measuring is stopped under another evaluation", async () => {
    const run = await copied("dropped");
    const other = distilled("dropped", ["evaluation.teacherSteps=[2]"], {
      resume: true,
      until: "measuring: student",
    });
    await expect(other).rejects.toThrow(Interrupted);
    for (const file of ["evaluation.json", "report.html", "images"])
      expect(existsSync(join(run, file))).toBe(false);
  }, 240_000);
});

it("fdiv distill's heads read the fake denoiser's features with DMD2's discriminator", async () => {
  await distilled("over-fake", [
    "discriminator.over=fake",
    "divergence=reverse-kl",
    "schedule.criticMeanwhile=train",
  ]);
  await distilled("over-teacher", ["divergence=reverse-kl", "schedule.criticMeanwhile=train"]);
  const [fake, teacher] = await Promise.all(
    ["over-fake", "over-teacher"].map((name) => rowsOf(join(place, name))),
  );
  expect(fake!.every(({ skipped }) => skipped === 0)).toBe(true);
  expect(fake!.at(-1)!.discriminatorGradientNorm).toBeGreaterThan(0);
  // Both nets start as the teacher, so the first gradient is the same; then the fake one's features move, by the discriminator's loss too.
  expect(fake![1]!.fakeGradientNorm).not.toBe(teacher![1]!.fakeGradientNorm);
  expect(
    (await weightsOf("over-fake", "generator")).equals(await weightsOf("over-teacher", "generator")),
  ).toBe(false);
}, 240_000);
