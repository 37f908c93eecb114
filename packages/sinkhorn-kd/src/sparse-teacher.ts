import { type Divergence, divergence as divergenceByName, forwardKl } from "@fdiv/divergences";
import { logSumExp } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { chunkedDivergence } from "./chunked-divergence.ts";
import { checkOptions } from "./option-check.ts";
import { placesOf } from "./sorted-top.ts";
import { checkTemperature, constant, logSoftened } from "./teacher-student.ts";

/** What a cache keeps of a teacher's distributions: the k likeliest tokens, and how much mass the others have together. */
export interface SparseTeacher {
  /** int32 [tokens, k], distinct in a row */
  indices: tf.Tensor2D;
  /** log-probabilities of those [tokens, k] */
  logProbs: tf.Tensor2D;
  /** log of the others' mass [tokens]; −∞ when k = V */
  tail: tf.Tensor1D;
  /** V */
  vocabulary: number;
  /** τ that the logits were divided by. */
  temperature: number;
}

const negativeInfinity = (shape: number[]): tf.Tensor => tf.fill(shape, Number.NEGATIVE_INFINITY);

/** log Σ exp over what the indices leave of each row, [tokens]; what was taken counts nothing, however large it is. */
function logMassOfRest(x: tf.Tensor2D, indices: tf.Tensor2D): tf.Tensor1D {
  if (indices.shape[1] === x.shape[1]) return negativeInfinity([x.shape[0]]) as tf.Tensor1D;
  const taken = tf.scatterND(placesOf(indices), negativeInfinity([indices.size]), x.shape);
  return logSumExp(tf.add(x, taken), 1) as tf.Tensor1D;
}

/** x at the indices of each row, [tokens, k]; differentiable. */
function chosen(x: tf.Tensor2D, indices: tf.Tensor2D): tf.Tensor2D {
  const places = placesOf(indices);
  return tf.customGrad((y, save) => {
    (save as tf.GradSaveFunc)([places]);
    return {
      value: tf.reshape(tf.gatherND(y as tf.Tensor, places), indices.shape),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        tf.scatterND(saved[0] as tf.Tensor2D, tf.reshape(dy, [-1]), x.shape),
    };
  })(x) as tf.Tensor2D;
}

/**
 * The k likeliest tokens of softmax(logits/τ) and the mass of the others.
 *
 * @param logits [tokens, V]
 * @throws RangeError when k is not in [1, V]
 */
export function sparseTeacher(
  logits: tf.Tensor2D,
  options: { k: number; temperature?: number },
): SparseTeacher {
  checkOptions("sparseTeacher", options, { k: true, temperature: true });
  const { k, temperature = 1 } = options;
  const vocabulary = logits.shape[1];
  checkTemperature("sparseTeacher", temperature);
  if (!(Number.isInteger(k) && k >= 1 && k <= vocabulary))
    throw new RangeError(`sparseTeacher: k is ${k}, expected a whole number in [1, ${vocabulary}].`);
  const kept = tf.tidy(() => {
    const all = logSoftened(logits, temperature);
    const { values, indices } = tf.topk(all, k, true);
    return { indices, logProbs: values, tail: logMassOfRest(all, indices as tf.Tensor2D) };
  });
  return { ...(kept as Pick<SparseTeacher, "indices" | "logProbs" | "tail">), vocabulary, temperature };
}

/**
 * All V log-probabilities [tokens, V], the tail's mass spread evenly over the tokens that were not kept: what a loss that needs dense
 * distributions, as SinKD does, can be given as teacher logits at temperature 1. Exact when k = V.
 */
export function denseTeacher({ indices, logProbs, tail, vocabulary }: SparseTeacher): tf.Tensor2D {
  return tf.tidy(() => {
    const [tokens, k] = indices.shape;
    const places = placesOf(indices);
    const shape: [number, number] = [tokens, vocabulary];
    const known = tf.scatterND(places, tf.reshape(logProbs, [-1]), shape) as tf.Tensor2D;
    if (k === vocabulary) return known;
    const isKnown = tf.scatterND(places, tf.ones([indices.size]), shape);
    const each = tf.tile(tf.expandDims(tf.sub(tail, Math.log(vocabulary - k)), 1), [1, vocabulary]);
    return tf.where(tf.greater(isKnown, 0), known, each) as tf.Tensor2D;
  });
}

export interface SparseDistillationOptions {
  /** Default forward KL. */
  divergence?: Divergence | string;
  temperatureSquared?: boolean;
}

/**
 * D_f of student and teacher over the k kept tokens and one outcome for all others: never more than the dense divergence, and equal to
 * it when k = V. The student's temperature is the one that the teacher was stored with.
 *
 * @param student logits [tokens, V]
 * @returns [tokens]
 * @throws RangeError when the student's vocabulary or tokens are not the teacher's
 */
export function sparseDistillation(
  student: tf.Tensor2D,
  teacher: SparseTeacher,
  options: SparseDistillationOptions = {},
): tf.Tensor1D {
  checkOptions("sparseDistillation", options, { divergence: true, temperatureSquared: true });
  const { divergence = forwardKl, temperatureSquared = false } = options;
  const { indices, logProbs, tail, vocabulary, temperature } = teacher;
  if (student.shape[1] !== vocabulary || student.shape[0] !== indices.shape[0])
    throw new RangeError(
      `sparseDistillation: student has shape [${student.shape}], expected [${indices.shape[0]}, ${vocabulary}] as the teacher.`,
    );
  const d = typeof divergence === "string" ? divergenceByName(divergence) : divergence;
  return tf.tidy(() => {
    const all = logSoftened(student, temperature);
    const hasTail = indices.shape[1] < vocabulary;
    const whole = (kept: tf.Tensor2D, rest: tf.Tensor1D): tf.Tensor2D =>
      hasTail ? tf.concat([kept, tf.expandDims(rest, 1) as tf.Tensor2D], 1) : kept;
    const model = whole(chosen(all, indices), hasTail ? logMassOfRest(all, indices) : tail);
    const losses = chunkedDivergence(d, model, constant(whole(logProbs, tail)));
    return temperatureSquared ? tf.mul(losses, temperature ** 2) : losses;
  });
}
