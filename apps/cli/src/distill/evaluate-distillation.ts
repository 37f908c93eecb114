import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { addNoise } from "@fdiv/distill";
import type { ImageClassifier } from "@fdiv/models";
import { imageGrid } from "@fdiv/report";
import { random } from "@fdiv/tensor-core";
import { writeDurably } from "@fdiv/trainer/node";
import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../config/config-file.ts";
import type { Session } from "../session.ts";
import type { Cast } from "./cast.ts";
import type { DistillData, Examples } from "./distill-data.ts";
import { type DistillConfig, isConditional } from "./distill-schema.ts";
import { drawStudent, drawTeacher } from "./draw-samples.ts";
import { extractorsOf } from "./feature-extractors.ts";
import { type MeasuredRow, measureSamples, type Yardstick } from "./measure-samples.ts";
import type { Net } from "./nets.ts";
import { type RatioCalibration, ratioCalibration } from "./ratio-calibration.ts";
import { inPieces } from "./train-classifier.ts";

export interface DistillationEvaluation {
  /** The student first, then the teacher's rows, then real examples. */
  generator: {
    rows: MeasuredRow[];
    calibration: RatioCalibration[];
    /** Points to draw, of data with two dimensions. */
    points: { name: string; points: number[][] }[];
    classifierAccuracy?: number;
    /** The noise under which the fake denoiser's picture was made. */
    fakeSigma?: number;
  };
}

export interface Judged {
  config: DistillConfig;
  data: DistillData;
  cast: Cast;
  /** The student with its averages. */
  student: Net;
  classifier: { classifier: ImageClassifier; accuracy: number } | undefined;
  session: Session;
}

const drawn = 1500;
/** Pictures in a grid: fewer of the large ones that latents stand for. */
export const picturedOf = ({ kind }: DistillData): number => (kind === "latents" ? 16 : 64);

const asPoints = ({ values, count }: Examples, dimensions: number): number[][] =>
  Array.from({ length: Math.min(count, drawn) }, (_, i) =>
    Array.from(values.subarray(i * dimensions, (i + 1) * dimensions), (x) => Number(x.toPrecision(4))),
  );

/** A grid of the first examples, as a PNG in a folder. */
export async function writeGrid(
  examples: Examples,
  data: DistillData,
  folder: string,
  name: string,
): Promise<void> {
  const count = Math.min(examples.count, picturedOf(data));
  const { values, shape } = data.pictures(examples, 0, count);
  const [height, width, channels] = shape as [number, number, number];
  await mkdir(folder, { recursive: true });
  const picture = imageGrid(values, { count, height, width, channels });
  await writeDurably(join(folder, `${name}.png`), picture);
}

/** Noise that hides details and leaves the outlines. */
const fakeSigma = 2;

/** What the fake denoiser makes of the student's samples with noise: whether it follows the student. */
function fakeView({ cast, data, config }: Judged, samples: Examples): Examples {
  const few = Math.min(samples.count, picturedOf(data));
  const stream = random(config.seed).fork("fake view");
  const view = (x: tf.Tensor, from: number): tf.Tensor => {
    const level = tf.fill([x.shape[0]!], fakeSigma) as tf.Tensor1D;
    const noised = addNoise(x, level, tf.tensor(stream.fork(from).normal(x.size), x.shape));
    const labels = samples.labels && data.condition(samples.labels.subarray(from, from + x.shape[0]!));
    return cast.fake.denoise(noised, level, labels);
  };
  const values = inPieces({ ...samples, count: few }, data.shape, view, data.piece);
  return { values, count: few, labels: undefined };
}

/** How many samples there can be of each source: the real ones are needed twice. */
function sampleCount({ evaluation }: DistillConfig, { size, hasExamples }: DistillData): number {
  if (!hasExamples) return Math.min(evaluation.samples, size);
  const most = Math.floor(size / 2);
  if (most < 24)
    throw new ConfigError(`data: ${size} examples are too few to measure by; 48 or more are due.`);
  return Math.min(evaluation.samples, most);
}

/** Measures student, teacher and real examples alike, and draws what is to be looked at. */
export async function evaluateDistillation(judged: Judged): Promise<DistillationEvaluation> {
  const { config, data, cast, student, classifier, session } = judged;
  const { evaluation, seed, output } = config;
  const conditional = isConditional(config);
  const count = sampleCount(config, data);
  const yardstick: Yardstick | undefined = data.hasExamples
    ? {
        real: data.take(0, count),
        extractors: await extractorsOf(evaluation.features, data, classifier?.classifier),
        classifier: classifier?.classifier,
        data,
        evaluation,
      }
    : undefined;
  const other = data.take(data.hasExamples ? count : 0, count);
  const conditions = conditional ? other.labels : undefined;
  const wanted = { count, seed: `evaluation ${seed}`, conditions };
  const sources: [name: string, file: string, draw: () => Promise<Examples>][] = [
    ["student, 1 step", "student", () => drawStudent(student, cast.sigmaMax, data, wanted)],
    ...evaluation.teacherSteps.map((steps): (typeof sources)[number] => {
      const range = [student.range[0], cast.sigmaMax] as const;
      return [
        `teacher, ${steps} Heun steps`,
        `teacher-${steps}`,
        () => drawTeacher(cast.teacher, range, steps, data, wanted),
      ];
    }),
    ...(yardstick ? ([["real", "real", async () => other]] as typeof sources) : []),
  ];
  const rows: MeasuredRow[] = [];
  const points: { name: string; points: number[][] }[] = [];
  let generated: Examples | undefined;
  for (const [name, file, draw] of sources) {
    session.say(`measuring: ${name}`);
    const samples = await draw();
    generated ??= samples;
    rows.push(
      yardstick
        ? await measureSamples(name, samples, yardstick, conditions)
        : { name, samples: count, figures: {} },
    );
    if (data.kind !== "points") await writeGrid(samples, data, join(output, "images"), file);
    else if (data.shape[0] === 2) points.push({ name, points: asPoints(samples, 2) });
  }
  if (data.kind !== "points")
    await writeGrid(fakeView(judged, generated!), data, join(output, "images"), "fake-denoiser");
  const calibration =
    cast.discriminator && data.hasExamples
      ? ratioCalibration(
          cast.discriminator,
          { real: other, generated: generated! },
          cast.options.noise!,
          data,
          { seed: `calibration ${seed}`, conditional },
        )
      : [];
  return {
    generator: {
      rows,
      calibration,
      points,
      ...(classifier && { classifierAccuracy: classifier.accuracy }),
      ...(data.kind !== "points" && { fakeSigma }),
    },
  };
}
