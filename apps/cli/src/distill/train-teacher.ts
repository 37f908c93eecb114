import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type DenoiserTraining, trainDenoiser } from "@fdiv/distill";
import { saveDenoiser } from "@fdiv/models/node";
import * as tf from "@tensorflow/tfjs-core";
import type { Session } from "../session.ts";
import type { DistillData } from "./distill-data.ts";
import { type DistillConfig, trainingOf } from "./distill-schema.ts";
import { createNet, type Net, openNet, sigmaDataOf } from "./nets.ts";
import { emaOf, learnerOf, noiseOf } from "./options-of.ts";
import { openSnapshotRun, takeSteps } from "./snapshot-store.ts";

/** Where a run's own teacher is, once it is trained. */
export const teacherFolder = (output: string): string => join(output, "teacher", "model");

const finished = (folder: string): boolean =>
  existsSync(join(folder, "model_index.json")) || existsSync(join(folder, "config.json"));

/** Puts averages in the place of the parameters they are of. */
export function assignAverages(net: Net, averages: ReadonlyMap<string, tf.Tensor>): void {
  for (const [name, variable] of net.parameters) {
    const average = averages.get(name);
    if (average) variable.assign(tf.tidy(() => tf.clone(average)));
  }
}

/** The teacher that is given, was trained before in this run, or is trained now by EDM's loss. */
export async function obtainTeacher(
  config: DistillConfig,
  data: DistillData,
  session: Session,
  resume: boolean,
): Promise<Net> {
  const { teacher, output, seed, conditional } = config;
  if (teacher.model !== undefined) return openNet(config, data);
  const folder = teacherFolder(output);
  if (resume && finished(folder)) return openNet({ ...config, teacher: { ...teacher, model: folder } }, data);
  const net = createNet(config, data);
  const training = trainingOf(config);
  const { steps, batchSize } = training;
  const optimizer = learnerOf(training.optimizer, steps);
  const run: DenoiserTraining = trainDenoiser({
    denoiser: net,
    data: data.source({ conditional, dropLabels: training.dropLabels }),
    steps,
    batchSize,
    noise: noiseOf(training.noise, net.range),
    sigmaData: sigmaDataOf(net),
    optimizer,
    ...emaOf(training.ema),
    seed,
    patience: config.patience,
  });
  const directory = join(output, "teacher");
  const described = { ...training, sigmaData: sigmaDataOf(net), conditional, seed, data: config.data };
  const directoryRun = await openSnapshotRun({
    directory,
    config: described,
    fingerprint: createHash("sha256")
      .update(JSON.stringify([described, data.fingerprint]))
      .digest("hex"),
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
        learningRate: training.optimizer.learningRate * optimizer.schedule!(iteration),
      }),
      session,
      output,
    });
    if (run.ema) assignAverages(net, run.ema.parameters);
    await saveDenoiser(net, folder);
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
