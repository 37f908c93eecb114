import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { addNoise } from "@fdiv/distill";
import type { ImageClassifier } from "@fdiv/models";
import { imageGrid } from "@fdiv/report";
import { random } from "@fdiv/tensor-core";
import { writeDurably } from "@fdiv/trainer/node";
import * as tf from "@tensorflow/tfjs-core";
import type { Session } from "../session.ts";
import type { Cast } from "./cast.ts";
import type { DistillData, Examples } from "./distill-data.ts";
import { type DistillConfig, isConditional } from "./distill-schema.ts";
import { drawStudent, drawTeacher } from "./draw-samples.ts";
import { evaluationPlan } from "./evaluation-plan.ts";
import { extractorsOf } from "./feature-extractors.ts";
import { inPieces } from "./in-pieces.ts";
import type { KeptMeasures } from "./kept-measures.ts";
import { type MeasuredRow, measureSamples, type Yardstick, yardstickOf } from "./measure-samples.ts";
import { type Heard, measuring } from "./measuring.ts";
import type { Net } from "./nets.ts";
import { type RatioCalibration, ratioCalibration } from "./ratio-calibration.ts";

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
  /** What was measured before, under the same settings. */
  kept: KeptMeasures;
  session: Session;
  output: string;
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

/** What is said of one source of samples. */
interface Measured {
  row: MeasuredRow;
  points?: number[][];
}

/** Measures student, teacher and real examples alike, each kept as soon as it is, and draws what is to be looked at. */
export async function evaluateDistillation(judged: Judged): Promise<DistillationEvaluation> {
  const { config, data, cast, student, classifier, kept } = judged;
  const { evaluation, seed, output } = config;
  const conditional = isConditional(config);
  const plan = evaluationPlan(config, data);
  const count = plan.samples;
  const yardstick: Yardstick | undefined = data.hasExamples
    ? yardstickOf({
        real: data.take(0, count),
        extractors: await extractorsOf(evaluation.features, data, classifier?.classifier),
        classifier: classifier?.classifier,
        data,
        plan,
      })
    : undefined;
  const other = data.take(data.hasExamples ? count : 0, count);
  const conditions = conditional ? other.labels : undefined;
  const wanted = { count, seed: `evaluation ${seed}`, conditions };
  let generated: Promise<Examples> | undefined;
  const drawGenerated = (heard: Heard): Promise<Examples> => {
    generated ??= drawStudent(student, cast.sigmaMax, data, { ...wanted, heard });
    return generated;
  };
  const sources: [name: string, file: string, draw: (heard: Heard) => Promise<Examples>][] = [
    ["student, 1 step", "student", drawGenerated],
    ...evaluation.teacherSteps.map((steps): (typeof sources)[number] => {
      const range = [student.range[0], cast.sigmaMax] as const;
      return [
        `teacher, ${steps} Heun steps`,
        `teacher-${steps}`,
        (heard) => drawTeacher(cast.teacher, range, steps, data, { ...wanted, heard }),
      ];
    }),
    ...(yardstick ? ([["real", "real", async () => other]] as typeof sources) : []),
  ];
  const folder = join(output, "images");
  const measured: Measured[] = [];
  for (const [name, file, draw] of sources)
    measured.push(
      await kept.once<Measured>(name, async () => {
        const heard = measuring(name, judged);
        const samples = await draw(heard);
        const row: MeasuredRow = yardstick
          ? await measureSamples(name, samples, yardstick, conditions, heard)
          : { name, samples: count, figures: {} };
        if (data.kind !== "points") await writeGrid(samples, data, folder, file);
        return {
          row,
          ...(data.shape[0] === 2 && data.kind === "points" && { points: asPoints(samples, 2) }),
        };
      }),
    );
  const calibration = await kept.once<RatioCalibration[]>("calibration", async () => {
    const { discriminator } = cast;
    const calibrates = discriminator && data.hasExamples;
    if (!calibrates && data.kind === "points") return [];
    const samples = await drawGenerated(measuring("what the critics make of the student", judged));
    if (data.kind !== "points") await writeGrid(fakeView(judged, samples), data, folder, "fake-denoiser");
    return calibrates
      ? ratioCalibration(discriminator, { real: other, generated: samples }, cast.options.noise!, data, {
          seed: `calibration ${seed}`,
          conditional,
        })
      : [];
  });
  return {
    generator: {
      rows: measured.map(({ row }) => row),
      calibration,
      points: measured.flatMap(({ row, points }) => (points ? [{ name: row.name, points }] : [])),
      ...(classifier && { classifierAccuracy: classifier.accuracy }),
      ...(data.kind !== "points" && { fakeSigma }),
    },
  };
}
