import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Distillation, type DistilRow, distil } from "@fdiv/distill";
import { saveDenoiser, saveTextToImage } from "@fdiv/models/node";
import { renderReport } from "@fdiv/report";
import { readRun } from "@fdiv/report/node";
import { writeDurably } from "@fdiv/trainer/node";
import { mebibytes } from "../runs/open-model.ts";
import type { Session } from "../session.ts";
import { type Cast, castOf } from "./cast.ts";
import { checkDistillation } from "./check-distillation.ts";
import { type DistillData, openData } from "./distill-data.ts";
import type { DistillConfig } from "./distill-schema.ts";
import { drawStudent } from "./draw-samples.ts";
import { evaluateDistillation, picturedOf, writeGrid } from "./evaluate-distillation.ts";
import { featureNames, wantsClassifier } from "./feature-extractors.ts";
import { openKeptMeasures } from "./kept-measures.ts";
import { copyNet, isTextNet, type Net } from "./nets.ts";
import { openSnapshotRun, type SnapshotRun, takeSteps } from "./snapshot-store.ts";
import { teacherFingerprint } from "./teacher-fingerprint.ts";
import { openTextData } from "./text-data.ts";
import { isClassifierDone, obtainClassifier } from "./train-classifier.ts";
import { assignAverages, obtainTeacher } from "./train-teacher.ts";

interface Work {
  config: DistillConfig;
  data: DistillData;
  /** What is measured by: the data itself, or other captions and their pictures. */
  judge: DistillData;
  session: Session;
  resume: boolean;
}

/** Distillation from a configuration to a run directory; the whole flow on one page. */
export async function distill(
  config: DistillConfig,
  session: Session,
  { resume = false, dryRun = false }: { resume?: boolean; dryRun?: boolean } = {},
): Promise<void> {
  const data = await openData(config);
  try {
    const judge = await judgeOf(config, data);
    const text = await checkDistillation(config, data, judge, { timed: dryRun });
    session.say(text);
    if (!dryRun) await distilInto({ config, data, judge, session, resume }, text);
  } finally {
    data.dispose();
  }
}

/** What the trained generator is no function of, and may be another where a run goes on. */
export const freeSettings: readonly string[] = [
  "$schema",
  "output",
  "evaluation",
  "previewEvery",
  "checkpointEvery",
  "keep",
];

/** Identifies the generator that a run makes. */
async function fingerprintOf(config: DistillConfig, data: DistillData): Promise<string> {
  const { model } = config.teacher;
  const settings = Object.fromEntries(Object.entries(config).filter(([key]) => !freeSettings.includes(key)));
  const given = model === undefined ? undefined : await teacherFingerprint(model);
  return createHash("sha256")
    .update(JSON.stringify([settings, data.fingerprint, given]))
    .digest("hex");
}

async function distilInto(work: Work, text: string): Promise<void> {
  const { config, data, session, resume } = work;
  const fingerprint = await fingerprintOf(config, data);
  const run = await openSnapshotRun({
    directory: config.output,
    config,
    fingerprint,
    free: freeSettings,
    texts: { "data-report.txt": `${text}\n` },
    resume,
    keep: config.keep,
    tell: session.warn,
  });
  try {
    await stages(work, run, fingerprint);
  } catch (error) {
    await run.store.failure(error);
    throw error;
  } finally {
    await run.store.close();
  }
}

async function stages(work: Work, run: SnapshotRun, fingerprint: string): Promise<void> {
  const { config, data, judge, session, resume } = work;
  const { output } = config;
  const measuresClasses = wantsClassifier(config.evaluation.features, data);
  await data.prepare(session);
  await judge.prepare(session);
  const net = await obtainTeacher(config, data, session, resume);
  const cast = castOf(config, net, data);
  const distillation = distil(cast.options);
  let student: Net | undefined;
  try {
    if (resume && measuresClasses) await isClassifierDone(config, data);
    await train(work, run, cast, distillation);
    student = copyNet(cast.student);
    assignAverages(student, distillation.ema?.parameters ?? cast.student.parameters);
    await exportGenerator(work, student, cast.sigmaMax);
    const kept = await openKeptMeasures(
      output,
      [fingerprint, judge.fingerprint, config.evaluation],
      filesOf(config),
    );
    const classifier = measuresClasses ? await obtainClassifier(config, data, session, resume) : undefined;
    const evaluation = await evaluateDistillation({
      config,
      data: judge,
      cast,
      student,
      classifier,
      kept,
      session,
      output,
    });
    classifier?.classifier.dispose();
    await writeDurably(join(output, "evaluation.json"), `${JSON.stringify(evaluation, null, 1)}\n`);
    const runs = [await readRun(output)];
    // The teacher's curves belong to this run; its configuration is part of it.
    if (config.teacher.model === undefined)
      runs.push({ ...(await readRun(join(output, "teacher"))), config: runs[0]!.config });
    await writeFile(
      join(output, "report.html"),
      renderReport(runs, { title: `fdiv distill: ${config.divergence}` }),
    );
    session.say(`peak of memory: ${mebibytes(process.resourceUsage().maxRSS * 1024)}`);
  } finally {
    distillation.dispose();
    student?.dispose();
    cast.dispose();
    net.dispose();
  }
}

/** Files of others that measures are a function of. */
function filesOf({ evaluation: { features = [], classifier } }: DistillConfig): string[] {
  const modules = features.filter((name) => !featureNames.includes(name));
  return classifier?.model === undefined ? modules : [...modules, classifier.model];
}

async function judgeOf(config: DistillConfig, data: DistillData): Promise<DistillData> {
  const { captions, pictures } = config.evaluation;
  if (captions === undefined) return data;
  return openTextData(config, { captions, pictures, size: config.data.size }, data.text);
}

/** A distillation with what the log remembers of the row before. */
function logged(distillation: Distillation) {
  let fakeLoss = Number.NaN;
  return {
    [Symbol.asyncIterator]: () => distillation[Symbol.asyncIterator](),
    async save() {
      const snapshot = await distillation.save();
      return { ...snapshot, json: { ...snapshot.json, fakeLoss } };
    },
    load(snapshot: Parameters<Distillation["load"]>[0]) {
      distillation.load(snapshot);
      fakeLoss = Number(snapshot.json.fakeLoss ?? Number.NaN);
    },
    /** `loss` is the fake denoiser's, which every phase but the generator's has. */
    figures({ iteration: _, phase: __, ...numbers }: DistilRow, learningRate: number) {
      fakeLoss = numbers.fakeLoss ?? fakeLoss;
      const gradientNorm = numbers.generatorGradientNorm ?? numbers.fakeGradientNorm!;
      return { ...(numbers as Record<string, number>), loss: fakeLoss, gradientNorm, learningRate };
    },
  };
}

async function train(
  { config, data, session }: Work,
  run: SnapshotRun,
  cast: Cast,
  distillation: Distillation,
): Promise<void> {
  const { output, steps, optimizers } = config;
  const what = logged(distillation);
  const factor = cast.options.optimizers!.generator!.schedule!;
  const count = picturedOf(data);
  const conditions = data.text
    ? data.take(0, Math.min(count, data.size)).labels
    : config.conditional
      ? Int32Array.from({ length: count }, (_, i) => i % data.classes)
      : undefined;
  await takeSteps<DistilRow>({
    run,
    what,
    from: await run.restore(what),
    steps,
    batchSize: config.batchSize,
    label: `f-distill ${config.divergence}`,
    checkpointEvery: config.checkpointEvery,
    figures: (row) => what.figures(row, optimizers.generator.learningRate * factor(row.iteration)),
    async onStep(step) {
      if (data.kind === "points" || step % (config.previewEvery ?? 500) !== 0 || step === steps) return;
      const wanted = { count: conditions?.length ?? count, seed: `preview ${config.seed}`, conditions };
      const samples = await drawStudent(cast.student, cast.sigmaMax, data, wanted);
      await writeGrid(samples, data, join(output, "previews"), `step-${String(step).padStart(6, "0")}`);
    },
    session,
    output,
  });
}

/** The one-step generator: its net's folder, with what is needed to call it. */
async function exportGenerator({ config, data }: Work, student: Net, sigmaMax: number): Promise<void> {
  const folder = join(config.output, "generator");
  if (isTextNet(student)) await saveTextToImage({ ...data.text!, denoiser: student }, folder);
  else await saveDenoiser(student, folder);
  const described = {
    sigmaMax,
    shape: data.shape,
    classes: config.conditional ? data.classes : 0,
    ...(data.classNames && { classNames: data.classNames }),
    divergence: config.divergence,
  };
  await writeDurably(join(folder, "generator.json"), `${JSON.stringify(described, null, 2)}\n`);
}
