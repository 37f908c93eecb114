import { random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

/** How many places the distributions are over. */
export const places = 64;
export const examples = 8;
const modeWidth = 1.5;
/** Of the left mode; the right one has the rest. */
export const largerMode = 0.65;

const at = Float32Array.from({ length: places }, (_, i) => i);

/** −(x − μ)²/2σ² of each example at each place, [examples, places]. */
export function gaussianLogits(means: tf.Tensor, logDeviations: tf.Tensor): tf.Tensor2D {
  const x = tf.tensor2d(at, [1, places]);
  const distance = tf.div(tf.sub(x, tf.expandDims(means, 1)), tf.exp(tf.expandDims(logDeviations, 1)));
  return tf.mul(-0.5, tf.square(distance)) as tf.Tensor2D;
}

export interface Setting {
  /** Middle between the two modes of each example. */
  centres: Float32Array;
  /** log of the teacher's distributions [examples, places]. */
  teacher: tf.Tensor2D;
  /** Where the student's means begin. */
  starts: Float32Array;
}

/** Teachers of two modes so far apart, round centres of their own, and students that begin somewhere between. */
export function modeSetting(separation: number, seed: number): Setting {
  const draws = random(seed).fork("modes");
  const centres = draws
    .fork("centres")
    .uniform(examples)
    .map((u) => places / 2 + 16 * (u - 0.5));
  const starts = draws
    .fork("starts")
    .normal(examples)
    .map((z, i) => centres[i]! + 3 * z);
  const teacher = tf.tidy(() => {
    const widths = tf.fill([examples], Math.log(modeWidth));
    const side = (shift: number, weight: number) =>
      tf.mul(weight, tf.softmax(gaussianLogits(tf.tensor1d(centres.map((c) => c + shift)), widths)));
    const p = tf.add(side(-separation / 2, largerMode), side(separation / 2, 1 - largerMode));
    return tf.log(tf.maximum(p, 1e-20)) as tf.Tensor2D;
  });
  return { centres, teacher, starts };
}

/** What became of the modes, means over the examples. */
export interface ModeFigures {
  /** Student's mass in the middle half of the gap, where the teacher has next to none: averaging. */
  valley: number;
  /** Student's mass at the smaller mode, as a share of the teacher's: 0 where it collapsed onto the other, above 1 where it is too much. */
  smaller: number;
  /** The same of the larger mode. */
  larger: number;
  /** Σ|difference of cumulative masses|, in places: Wasserstein's distance. */
  wasserstein: number;
  totalVariation: number;
}

export function modeFigures(
  student: Float32Array,
  teacher: Float32Array,
  centres: Float32Array,
  separation: number,
): ModeFigures {
  const figures = { valley: 0, smaller: 0, larger: 0, wasserstein: 0, totalVariation: 0 };
  for (let e = 0; e < examples; e++) {
    const mass = (p: Float32Array, from: number, to: number): number => {
      let sum = 0;
      for (let i = 0; i < places; i++) if (i >= from && i <= to) sum += p[e * places + i]!;
      return sum;
    };
    const c = centres[e]!;
    const round = (p: Float32Array, side: number) =>
      mass(p, c + (side * separation) / 2 - 2 * modeWidth, c + (side * separation) / 2 + 2 * modeWidth);
    figures.valley += mass(student, c - separation / 4, c + separation / 4) / examples;
    figures.larger += round(student, -1) / round(teacher, -1) / examples;
    figures.smaller += round(student, 1) / round(teacher, 1) / examples;
    let difference = 0;
    for (let i = 0; i < places; i++) {
      const gap = student[e * places + i]! - teacher[e * places + i]!;
      difference += gap;
      figures.wasserstein += Math.abs(difference) / examples;
      figures.totalVariation += Math.abs(gap) / (2 * examples);
    }
  }
  return figures;
}
