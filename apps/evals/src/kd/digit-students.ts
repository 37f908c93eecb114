import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openSession } from "@fdiv/cli";
import { readImages } from "@fdiv/data/node";
import { type DistillationLossOptions, distillationLoss } from "@fdiv/sinkhorn-kd";
import { crossEntropy, logSoftmax, random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { ImageFiles } from "../distill/images.ts";
import { markdownTable, overSeeds, shown } from "../figures.ts";
import { paired } from "../findings.ts";
import {
  batchOf,
  type LabelledRows,
  logitsOf,
  newClassifier,
  type Parameters,
  trainClassifier,
} from "./digit-classifier.ts";

export interface DigitStudents {
  train: ImageFiles;
  test: ImageFiles;
  /** Images that the teacher learns of, and students. */
  teacherImages: number;
  studentImages: number;
  teacherHidden: number;
  studentHidden: number;
  batchSize: number;
  seeds: readonly number[];
  output: string;
}

/** Of a student on the images that neither has seen. */
export interface DigitFigures {
  accuracy: number;
  teacherAccuracy: number;
  /** Share of images that both say the same of. */
  agreement: number;
  totalVariation: number;
  /** KL(teacher‖student), nats, at τ = 1. */
  forwardKl: number;
}

const paper = { alpha: 0.9, temperature: 2 };

/** Losses under comparison, with the paper's weights; of transport also what it does without a divergence beside it. */
export const digitLosses: Record<string, DistillationLossOptions> = {
  ce: { alpha: 0 },
  "forward-kl": { ...paper, divergence: "forward-kl" },
  "reverse-kl": { ...paper, divergence: "reverse-kl" },
  js: { ...paper, divergence: "jensen-shannon" },
  tvd: { ...paper, divergence: "total-variation" },
  "sinkhorn alone": { alpha: 0, beta: 0.8, temperature: 2 },
  sinkhorn: { ...paper, beta: 0.8 },
};

async function rowsOf({ images, labels }: ImageFiles, limit: number): Promise<LabelledRows> {
  const set = await readImages(images, { labels, size: 14, limit });
  const width = set.height * set.width * set.channels;
  const rows =
    set.pixels instanceof Uint8Array ? Float32Array.from(set.pixels, (x) => x / 127.5 - 1) : set.pixels;
  return { rows, labels: set.labels!, width };
}

/** log p of a classifier on all rows, [count, classes]. */
const logProbs = (parameters: Parameters, data: LabelledRows): tf.Tensor2D =>
  tf.tidy(
    () =>
      logSoftmax(
        logitsOf(
          parameters,
          batchOf(
            data,
            Int32Array.from(data.labels, (_, i) => i),
          ).x,
        ),
      ) as tf.Tensor2D,
  );

function figuresOf(student: Parameters, teacher: Parameters, test: LabelledRows): DigitFigures {
  const values = tf.tidy(() => {
    const [s, t] = [logProbs(student, test), logProbs(teacher, test)];
    const truth = tf.tensor1d(test.labels, "int32");
    const [mine, theirs] = [s, t].map((x) => tf.argMax(x, 1));
    const share = (x: tf.Tensor, y: tf.Tensor) => tf.mean(tf.cast(tf.equal(x, y), "float32"));
    const [p, q] = [tf.exp(t), tf.exp(s)];
    return {
      accuracy: share(mine!, truth),
      teacherAccuracy: share(theirs!, truth),
      agreement: share(mine!, theirs!),
      totalVariation: tf.mean(tf.mul(0.5, tf.sum(tf.abs(tf.sub(p, q)), 1))),
      forwardKl: tf.mean(tf.sum(tf.mul(p, tf.sub(t, s)), 1)),
    };
  });
  const figures = Object.fromEntries(Object.entries(values).map(([name, x]) => [name, x.dataSync()[0]!]));
  tf.dispose(values);
  return figures as unknown as DigitFigures;
}

/** All losses of a seed: one teacher, and students that begin alike and see the same batches. */
function runSeed(
  setting: DigitStudents,
  data: Record<"teacher" | "student" | "test", LabelledRows>,
  seed: number,
) {
  const { batchSize } = setting;
  const training = (what: string) => ({ batchSize, random: random(seed).fork(what) });
  const teacher = newClassifier(data.teacher.width, setting.teacherHidden, `teacher ${seed}`);
  trainClassifier(
    teacher,
    data.teacher,
    (logits, { labels }) => tf.mean(crossEntropy(logits, labels)) as tf.Scalar,
    {
      ...training("teacher"),
      epochs: 5,
      learningRate: 1e-3,
    },
  );
  const found: Record<string, DigitFigures> = {};
  for (const [name, options] of Object.entries(digitLosses)) {
    const student = newClassifier(data.student.width, setting.studentHidden, `student ${seed}`);
    trainClassifier(
      student,
      data.student,
      (logits, { x, labels }) => {
        const pair = { student: logits, teacher: logitsOf(teacher, x) };
        return distillationLoss({ ...pair, labels }, options).loss;
      },
      { ...training("student"), epochs: 40, learningRate: 3e-3 },
    );
    found[name] = figuresOf(student, teacher, data.test);
    tf.dispose([...student.values()]);
  }
  tf.dispose([...teacher.values()]);
  return found;
}

/**
 * Students of a perceptron that knows ten digits, under every loss: SinKD (arXiv 2402.17110) where distributions are over more than two classes, and runs are so short that there can be many seeds. A seed that is
 * there already is read.
 *
 * @returns the table as Markdown, also written to the output folder
 */
export async function digitStudents(setting: DigitStudents): Promise<string> {
  const { output, seeds } = setting;
  await mkdir(output, { recursive: true });
  const session = await openSession({ quiet: true });
  try {
    const [teacher, student, test] = await Promise.all([
      rowsOf(setting.train, setting.teacherImages),
      rowsOf(setting.train, setting.studentImages),
      rowsOf(setting.test, 10_000),
    ]);
    const found: Record<string, DigitFigures>[] = [];
    for (const [i, seed] of seeds.entries()) {
      process.stderr.write(`kd-digits: seed ${seed}, ${i + 1} of ${seeds.length}\n`);
      const { train: _, test: __, seeds: ___, output: ____, ...sizes } = setting;
      const file = join(output, `seed${seed}-${Object.values(sizes).join("-")}.json`);
      if (!existsSync(file))
        await writeFile(
          file,
          JSON.stringify(runSeed(setting, { teacher: teacher!, student: student!, test: test! }, seed)),
        );
      found.push(JSON.parse(await readFile(file, "utf8")) as Record<string, DigitFigures>);
    }
    const table = digitTable(found);
    await writeFile(join(output, "kd-digits.md"), table);
    return table;
  } finally {
    session.close();
  }
}

/** Means over seeds, and differences seed by seed. */
export function digitTable(found: readonly Record<string, DigitFigures>[]): string {
  const accuracies = (name: string) => found.map((seed) => seed[name]!.accuracy);
  const rows = Object.keys(digitLosses).map((name) => {
    const figures = overSeeds(found.map((seed) => ({ ...seed[name]! })));
    const of = (key: keyof DigitFigures) => shown(figures[key], 4);
    const behind = name === "sinkhorn" ? "–" : shown(paired(accuracies("sinkhorn"), accuracies(name)), 4);
    return [name, of("accuracy"), behind, of("agreement"), of("totalVariation"), of("forwardKl")];
  });
  const { teacherAccuracy } = overSeeds(found.map((seed) => ({ ...seed.ce! })));
  return `${markdownTable(
    ["loss", "accuracy", "sinkhorn less this, by seed", "same answer as teacher", "TV to teacher", "KL(T‖S)"],
    [["*teacher*", shown(teacherAccuracy, 4), "", "", "", ""], ...rows],
  )}\n`;
}
