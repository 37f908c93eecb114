import { join } from "node:path";
import { type DenoiserTraining, trainDenoiser } from "@fdiv/distill";
import { saveDenoiser } from "@fdiv/models/node";
import * as tf from "@tensorflow/tfjs-core";
import type { Session } from "../session.ts";
import type { DistillData } from "./distill-data.ts";
import type { DistillConfig } from "./distill-schema.ts";
import { createNet, type Net, openNet, sigmaDataFor, sigmaDataOf } from "./nets.ts";
import { emaOf, learnerOf, noiseOf } from "./options-of.ts";
import { openSnapshotRun, takeSteps } from "./snapshot-store.ts";
import { isStageDone, recordStage, stageFingerprint } from "./stage-record.ts";
import { netOf, trainingOf } from "./teacher-schema.ts";

/** Where a run's own teacher is, once it is trained. */
export const teacherFolder = (output: string): string => join(output, "teacher", "model");

/** Puts averages in the place of the parameters they are of. */
export function assignAverages(net: Net, averages: ReadonlyMap<string, tf.Tensor>): void {
  for (const [name, variable] of net.parameters) {
    const average = averages.get(name);
    if (average) variable.assign(tf.tidy(() => tf.clone(average)));
  }
}

/** What a run's own teacher is a function of, but for the data's content. */
function settingsOf(config: DistillConfig, data: DistillData): object {
  const { conditional, seed } = config;
  const train = trainingOf(config);
  const net = netOf(train.net, data.kind === "images");
  return {
    conditional,
    seed,
    data: config.data,
    teacher: { train: { ...train, net, sigmaData: sigmaDataFor(config, data) } },
  };
}

/** The training of a fresh net by EDM's loss. @throws ConfigError on settings that it can't be trained by */
export function teacherTraining(config: DistillConfig, net: Net, data: DistillData) {
  const training = trainingOf(config);
  const { steps, batchSize, dropLabels = 0.1 } = training;
  const optimizer = learnerOf(training.optimizer, steps);
  const run: DenoiserTraining = trainDenoiser({
    denoiser: net,
    data: data.source({ conditional: config.conditional, dropLabels }),
    steps,
    batchSize,
    noise: noiseOf(training.noise, "teacher.train.noise", { range: net.range }),
    sigmaData: sigmaDataOf(net),
    optimizer,
    ...emaOf(training.ema),
    seed: config.seed,
    patience: config.patience,
  });
  return {
    run,
    learningRate: (iteration: number) => optimizer.learningRate! * optimizer.schedule!(iteration),
  };
}

/**
 * The teacher that is given, was trained before in this run, or is trained now by EDM's loss.
 *
 * @throws ConfigError where this run trained one with other settings, Interrupted once an interrupted training is saved
 */
export async function obtainTeacher(
  config: DistillConfig,
  data: DistillData,
  session: Session,
  resume: boolean,
): Promise<Net> {
  const { teacher, output } = config;
  if (teacher.model !== undefined) return openNet(config, data);
  const folder = teacherFolder(output);
  const directory = join(output, "teacher");
  const record = { settings: settingsOf(config, data), data: data.fingerprint };
  if (resume && (await isStageDone(directory, record)))
    return openNet({ ...config, teacher: { ...teacher, model: folder } }, data);
  const net = createNet(config, data);
  const { steps, batchSize } = trainingOf(config);
  const { run, learningRate } = teacherTraining(config, net, data);
  const directoryRun = await openSnapshotRun({
    directory,
    config: record.settings,
    fingerprint: stageFingerprint(record),
    resume,
    keep: config.keep,
    tell: session.warn,
  });
  try {
    await takeSteps({
      run: directoryRun,
      what: run,
      from: await directoryRun.restore(run),
      steps,
      batchSize,
      label: "teacher",
      checkpointEvery: config.checkpointEvery,
      figures: ({ loss, gradientNorm, iteration }) => ({
        loss,
        gradientNorm,
        learningRate: learningRate(iteration),
      }),
      session,
      output,
    });
    if (run.ema) assignAverages(net, run.ema.parameters);
    await saveDenoiser(net, folder);
    await recordStage(directory, record);
    return net;
  } catch (error) {
    net.dispose();
    await directoryRun.store.failure(error);
    throw error;
  } finally {
    run.dispose();
    await directoryRun.store.close();
  }
}
