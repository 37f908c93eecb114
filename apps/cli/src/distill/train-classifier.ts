import { existsSync } from "node:fs";
import { join } from "node:path";
import { createImageClassifier, type ImageClassifier } from "@fdiv/models";
import { adamW, crossEntropy } from "@fdiv/tensor-core";
import { openSafetensors, writeSafetensors } from "@fdiv/tensor-core/node";
import { schedule, shuffledBatches, train } from "@fdiv/trainer";
import { openRun } from "@fdiv/trainer/node";
import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../config/config-file.ts";
import { Interrupted } from "../failure.ts";
import type { Session } from "../session.ts";
import type { DistillData, Examples } from "./distill-data.ts";
import type { DistillConfig } from "./distill-schema.ts";
import { classifierOf } from "./evaluation-schema.ts";
import { wantsClassifier } from "./feature-extractors.ts";
import { inPieces } from "./in-pieces.ts";
import { isStageDone, recordStage, type StageRecord, stageFingerprint } from "./stage-record.ts";

/** Examples held out to say how good the classifier is: a tenth, at most 2000. */
const heldOut = ({ size }: DistillData): number => Math.min(2000, Math.floor(size / 10));

/** The class that each example is taken for. */
export function classify(
  classifier: ImageClassifier,
  examples: Examples,
  shape: readonly number[],
): Int32Array {
  const best = inPieces(examples, shape, (x) => tf.cast(tf.argMax(classifier.logits(x), 1), "float32"));
  return Int32Array.from(best);
}

function accuracyOf(classifier: ImageClassifier, data: DistillData): number {
  const held = data.take(0, heldOut(data));
  const found = classify(classifier, held, data.shape);
  return found.reduce((right, label, i) => right + Number(label === held.labels![i]), 0) / held.count;
}

async function restored(classifier: ImageClassifier, file: string): Promise<void> {
  if (!existsSync(file)) throw new ConfigError(`evaluation.classifier.model: ${file}: no such file.`);
  const saved = await openSafetensors(file);
  try {
    for (const [name, variable] of classifier.parameters) {
      const shape = saved.tensors.get(name)?.shape;
      if (shape?.join() !== variable.shape.join())
        throw new ConfigError(
          `${file}: ${name} ${shape ? `has shape [${shape}]` : "is missing"}, expected [${variable.shape}]; it is of another classifier.`,
        );
      const values = await saved.readFloat32(name);
      tf.tidy(() => variable.assign(tf.tensor(values, variable.shape)));
    }
  } finally {
    await saved.close();
  }
}

const directoryOf = ({ output }: DistillConfig): string => join(output, "classifier");

/** What a run's own classifier is a function of. */
function recordOf({ evaluation, seed }: DistillConfig, data: DistillData): StageRecord {
  const { model: _, ...classifier } = classifierOf(evaluation);
  return { settings: { seed, evaluation: { classifier } }, data: data.fingerprint };
}

/** Whether a run has its classifier, or needs none. @throws ConfigError where it has one that was made with other settings */
export const isClassifierDone = async (config: DistillConfig, data: DistillData): Promise<boolean> =>
  config.evaluation.classifier?.model !== undefined ||
  isStageDone(directoryOf(config), recordOf(config, data));

/** A fresh classifier as the configuration describes it. @throws ConfigError on sizes that mean nothing */
function createClassifier({ evaluation, seed }: DistillConfig, data: DistillData): ImageClassifier {
  const { blockChannels, features } = classifierOf(evaluation);
  const options = { classes: data.classes, channels: data.shape[2]!, blockChannels, features };
  try {
    return createImageClassifier({ ...options, seed: `classifier ${seed}` });
  } catch (error) {
    throw new ConfigError(`evaluation.classifier: ${(error as Error).message}`);
  }
}

/** Refuses, before anything is trained, a classifier that can't be had, or that nothing would be measured by. @throws ConfigError */
export async function checkClassifier(config: DistillConfig, data: DistillData): Promise<void> {
  const { features, classifier: given } = config.evaluation;
  if (!wantsClassifier(features, data)) {
    if (given === undefined) return;
    throw new ConfigError(
      `evaluation.classifier: ${features ? "it is not among evaluation.features" : "it takes images with labels of two classes or more"}, so nothing would be measured by it.`,
    );
  }
  const classifier = createClassifier(config, data);
  try {
    if (given?.model !== undefined) await restored(classifier, given.model);
  } finally {
    classifier.dispose();
  }
}

/**
 * The small classifier whose features samples are measured by: trained once on the data's labels, kept in the run.
 *
 * @returns with its accuracy on examples it was not trained on
 * @throws ConfigError where this run trained one with other settings, Interrupted once an interrupted training is saved
 */
export async function obtainClassifier(
  config: DistillConfig,
  data: DistillData,
  session: Session,
  resume: boolean,
): Promise<{ classifier: ImageClassifier; accuracy: number }> {
  const { model, steps, batchSize, learningRate } = classifierOf(config.evaluation);
  const { output, seed } = config;
  const record = recordOf(config, data);
  const directory = directoryOf(config);
  const file = join(directory, "model.safetensors");
  const known = model ?? (resume && (await isStageDone(directory, record)) ? file : undefined);
  const classifier = createClassifier(config, data);
  if (known !== undefined) {
    await restored(classifier, known);
    return { classifier, accuracy: accuracyOf(classifier, data) };
  }
  const first = heldOut(data);
  const optimizer = adamW();
  const store = await openRun({
    directory,
    parameters: classifier.parameters,
    optimizer,
    config: record.settings,
    fingerprint: stageFingerprint(record),
    resume,
    keep: 1,
    tell: session.warn,
  });
  try {
    const result = await train({
      parameters: classifier.parameters,
      optimizer,
      batches: shuffledBatches({
        rows: Array.from({ length: data.size - first }, (_, i) => first + i),
        batchSize,
        seed,
        lengthOf: () => 1,
        collate: (places) => places,
      }),
      loss(places) {
        const rows = places.map((place) => data.take(place, 1));
        const size = rows[0]!.values.length;
        const values = new Float32Array(rows.length * size);
        rows.forEach((row, i) => {
          values.set(row.values, i * size);
        });
        const x = tf.tensor(values, [rows.length, ...data.shape]);
        const labels = tf.tensor1d(
          rows.map((row) => row.labels![0]!),
          "int32",
        );
        return { loss: tf.sum(crossEntropy(classifier.logits(x), labels)) as tf.Scalar };
      },
      examples: (places) => places.length,
      steps,
      learningRate,
      schedule: schedule({ kind: "cosine", steps, warmup: 0.02 }),
      gradientClip: 5,
      checkpointEvery: config.checkpointEvery,
      store,
      resume,
      signal: session.signal,
      callbacks: session.progress({ label: "classifier" }),
    });
    if (result.stopped === "interrupted")
      throw new Interrupted(
        `Stopped after step ${result.steps} of ${steps} of the classifier; everything is saved in ${output}. Add --resume to go on.`,
      );
    await writeSafetensors(
      file,
      [...classifier.parameters].map(([name, variable]) => ({
        name,
        dtype: "F32" as const,
        shape: variable.shape,
        data: async () => (await variable.data()) as Float32Array,
      })),
    );
    await recordStage(directory, record);
    return { classifier, accuracy: accuracyOf(classifier, data) };
  } catch (error) {
    classifier.dispose();
    await store.failure(error);
    throw error;
  } finally {
    optimizer.dispose();
    await store.close();
  }
}
