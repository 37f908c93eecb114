import "@tensorflow/tfjs";
import { adamW, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { shuffledBatches, type TrainCallbacks, train } from "../index.ts";
import { openRun } from "./index.ts";

// A tiny regression as a run of its own: `tiny-run.testing.ts DIRECTORY [resume]`; slow enough to be killed in the middle.

/** Rows of a linear relation with noise. */
export const tinyRows = Array.from({ length: 24 }, (_, i) => {
  const draw = random(7).fork(i);
  const x = Array.from(draw.normal(3));
  return { x, y: x[0]! - 2 * x[1]! + 0.1 * draw.normal(1)[0]! };
});

export async function tinyRun(
  directory: string,
  {
    resume = false,
    steps = 60,
    microBatchLength = 3,
    delay = 0,
    poison = -1,
    fingerprint = "tiny",
    checkpointEvery = 7,
    evaluateEvery = 10,
    patience,
    sizes,
    restore = false,
    width = 3,
    tell,
    callbacks,
  }: {
    resume?: boolean;
    steps?: number;
    microBatchLength?: number;
    delay?: number;
    poison?: number;
    fingerprint?: string;
    checkpointEvery?: number;
    evaluateEvery?: number;
    patience?: number;
    /** What the evaluations say, in turn, in place of the weights' size. */
    sizes?: number[];
    /** Whether the best checkpoint is put back at the end. */
    restore?: boolean;
    /** Weights of the model; the rows have as many inputs. */
    width?: number;
    tell?: (message: string) => void;
    callbacks?: TrainCallbacks;
  } = {},
) {
  const weight = tf.tidy(() => tf.variable(tf.zeros([width, 1]), true));
  const parameters = new Map([["weight", weight]]);
  const optimizer = adamW();
  const store = await openRun({
    directory,
    parameters,
    optimizer,
    config: { steps },
    fingerprint,
    resume,
    ...(tell && { tell }),
  });
  const batches = shuffledBatches({
    rows: tinyRows,
    batchSize: 6,
    seed: 3,
    lengthOf: () => 1,
    microBatchLength,
    collate: (rows) => rows,
  });
  let seen = 0;
  try {
    const result = await train({
      parameters,
      optimizer,
      batches: {
        ...batches,
        batch: async (epoch, index) => {
          if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
          return batches.batch(epoch, index);
        },
      },
      loss(rows) {
        const x = tf.tensor2d(rows.map((row) => row.x));
        const y = tf.tensor2d(rows.map((row) => [seen++ === poison ? Number.NaN : row.y]));
        const error = tf.sub(tf.matMul(x, weight as unknown as tf.Tensor2D), y);
        return { loss: tf.sum(tf.square(error)) as tf.Scalar, metrics: { absolute: tf.sum(tf.abs(error)) } };
      },
      examples: (rows) => rows.length,
      describe: (rows) => rows.map((row) => row.y),
      evaluate: async (step) => ({
        size: sizes?.[step / 10] ?? tf.tidy(() => tf.sum(tf.abs(weight)).dataSync()[0]!),
      }),
      evaluateEvery,
      best: { metric: "size", mode: "max" },
      steps,
      learningRate: 0.05,
      checkpointEvery,
      ...(patience !== undefined && { patience }),
      ...(callbacks && { callbacks }),
      store,
      resume,
    });
    const restored = restore && (await store.restoreBest());
    return { result, restored, weights: Array.from(weight.dataSync()) };
  } finally {
    await store.close();
    weight.dispose();
    optimizer.dispose();
  }
}

const [, script, directory, flag] = process.argv;
if (script?.endsWith("tiny-run.testing.ts") && directory) {
  await tf.setBackend("cpu");
  await tinyRun(directory, { resume: flag === "resume", delay: 20 });
}
