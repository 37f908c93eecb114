import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openSession } from "@fdiv/cli";
import { type Interval, meanInterval } from "@fdiv/metrics";
import { adamW, valueAndGradients } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { shown } from "../figures.ts";
import { modeLosses } from "./mode-losses.ts";
import { examples, gaussianLogits, type ModeFigures, modeFigures, modeSetting } from "./mode-settings.ts";
import { modesPage } from "./modes-page.ts";

export interface ModesOptions {
  output: string;
  separations: readonly number[];
  seeds: readonly number[];
  steps: number;
}

export interface ModesRow {
  loss: string;
  separation: number;
  figures: Record<keyof ModeFigures, Interval>;
}

/** The gradient in the student's mean where student and teacher, one mode each, lie so far apart. */
export interface SignalRow {
  loss: string;
  shift: number;
  value: number;
  gradient: number;
}

export interface ModesResult {
  rows: ModesRow[];
  signals: SignalRow[];
}

/** Fits one Gaussian a teacher of two modes by gradient descent; the student's distributions in the end. */
function fit(
  loss: (typeof modeLosses)[string],
  separation: number,
  seed: number,
  steps: number,
): ModeFigures {
  const { centres, teacher, starts } = modeSetting(separation, seed);
  const means = tf.variable(tf.tensor1d(starts));
  const logDeviations = tf.variable(tf.fill([examples], Math.log(4)));
  const parameters = new Map<string, tf.Variable>([
    ["means", means],
    ["logDeviations", logDeviations],
  ]);
  const optimizer = adamW();
  for (let step = 0; step < steps; step++) {
    const { value, gradients } = valueAndGradients(
      () => loss(gaussianLogits(means, logDeviations), teacher),
      parameters,
    );
    optimizer.step(parameters, gradients, { learningRate: 0.4 * (1 - step / steps) });
    tf.dispose([value, ...gradients.values()]);
  }
  const [student, law] = tf.tidy(() => [
    tf.softmax(gaussianLogits(means, logDeviations)),
    tf.exp(teacher),
  ]) as [tf.Tensor, tf.Tensor];
  const figures = modeFigures(
    student.dataSync() as Float32Array,
    law.dataSync() as Float32Array,
    centres,
    separation,
  );
  optimizer.dispose();
  tf.dispose([student, law, teacher, means, logDeviations]);
  return figures;
}

/** A fit, read where it was made before by as many steps, so that a sweep that was stopped goes on. */
async function keptFit(
  folder: string,
  name: string,
  separation: number,
  seed: number,
  steps: number,
): Promise<ModeFigures> {
  const file = join(
    folder,
    `${name.replaceAll(/\W+/g, "-")}-apart${separation}-seed${seed}-steps${steps}.json`,
  );
  if (existsSync(file)) return JSON.parse(await readFile(file, "utf8")) as ModeFigures;
  const figures = fit(modeLosses[name]!, separation, seed, steps);
  await writeFile(file, JSON.stringify(figures));
  return figures;
}

const shifts = [0, 1, 2, 4, 6, 8, 12, 16, 20, 24];

/** One mode each, of the same width, moved apart: the loss and its pull, a mean over the examples. */
function signal(name: string, loss: (typeof modeLosses)[string]): SignalRow[] {
  const centres = Float32Array.from({ length: examples }, (_, i) => 14 + i);
  const widths = tf.fill([examples], Math.log(1.5));
  const teacher = tf.tidy(() => gaussianLogits(tf.tensor1d(centres), widths));
  const rows = shifts.map((shift) => {
    const means = tf.variable(tf.tensor1d(centres.map((c) => c + shift)));
    const { value, gradients } = valueAndGradients(
      () => loss(gaussianLogits(means, widths), teacher),
      new Map([["means", means]]),
    );
    const pull = tf.tidy(() => tf.div(tf.sum(tf.abs(gradients.get("means")!)), examples));
    const row = {
      loss: name,
      shift,
      value: value.dataSync()[0]! / examples,
      gradient: pull.dataSync()[0]!,
    };
    tf.dispose([means, value, pull, ...gradients.values()]);
    return row;
  });
  tf.dispose([teacher, widths]);
  return rows;
}

/**
 * What each loss makes of a teacher with two modes when the student has one, over how far apart they are; and what pull is left where
 * student and teacher no longer overlap (the argument of arXiv 2402.17110, section 3).
 */
export async function recoverModes({
  output,
  separations,
  seeds,
  steps,
}: ModesOptions): Promise<ModesResult> {
  const fits = join(output, "fits");
  await mkdir(fits, { recursive: true });
  const session = await openSession({ quiet: true });
  const result: ModesResult = { rows: [], signals: [] };
  try {
    for (const [name, loss] of Object.entries(modeLosses)) {
      process.stderr.write(`${name}\n`);
      result.signals.push(...signal(name, loss));
      for (const separation of separations) {
        const found: ModeFigures[] = [];
        for (const seed of seeds) found.push(await keptFit(fits, name, separation, seed, steps));
        const over = (key: keyof ModeFigures) => meanInterval(found.map((figures) => figures[key]));
        const keys = Object.keys(found[0]!) as (keyof ModeFigures)[];
        const figures = Object.fromEntries(keys.map((key) => [key, over(key)])) as ModesRow["figures"];
        result.rows.push({ loss: name, separation, figures });
      }
    }
  } finally {
    session.close();
  }
  await writeFile(join(output, "modes.json"), `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(join(output, "modes.html"), modesPage(result));
  return result;
}

/** Markdown tables of the fits and of the signal. */
export function modesTable({ rows, signals }: ModesResult): string {
  const keys = ["valley", "smaller", "larger", "wasserstein", "totalVariation"] as const;
  const fits = rows.map(({ loss, separation, figures }) =>
    [loss, separation, ...keys.map((key) => shown(figures[key]))].join(" | "),
  );
  const losses = [...new Set(signals.map(({ loss }) => loss))];
  const pulls = losses.map((loss) =>
    [
      loss,
      ...signals.filter((row) => row.loss === loss).map(({ gradient }) => gradient.toExponential(1)),
    ].join(" | "),
  );
  return [
    "loss | modes apart | mass in the valley | at the smaller mode, of the teacher's | at the larger | W₁, places | TV",
    "---|---|---|---|---|---|---",
    ...fits,
    "",
    `pull on the mean, at a shift of | ${shifts.join(" | ")}`,
    `---|${shifts.map(() => "---").join("|")}`,
    ...pulls,
  ].join("\n");
}
