import { type Divergence, divergence as divergenceByName, forwardKl } from "@fdiv/divergences";
import { segmentSum } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { chunkedDivergence } from "./chunked-divergence.ts";
import { checkOptions } from "./option-check.ts";
import {
  checkSameVocabulary,
  checkTemperature,
  constant,
  flat,
  logSoftened,
  type TeacherStudent,
} from "./teacher-student.ts";

/** Token-level: a loss a token. Sequence-level: their sum, or mean, over each sequence. */
export type DistillationLevel =
  | { level?: "token" }
  | {
      level: "sequence";
      /** int32 [tokens], which sequence a token belongs to; for logits [sequences, L, V] each row by itself. */
      sequences?: tf.Tensor1D;
      /** How many sequences there are, with `sequences`. */
      count?: number;
      /** Divides by the tokens that count; default false, the divergence of whole sequences given their prefixes. */
      mean?: boolean;
    };

export type LogitDistillationOptions = {
  /** D_f(student‖teacher), by itself or by name; default forward KL, KL(teacher‖student). */
  divergence?: Divergence | string;
  /** τ of both softmaxes; default 1. */
  temperature?: number;
  /** Multiplies by τ², so that gradients keep their size as τ grows (arXiv 1503.02531). Default false. */
  temperatureSquared?: boolean;
  /** Tokens that count, [examples] or [sequences, L]; the others' losses are 0. */
  mask?: tf.Tensor;
  /** Columns of the vocabulary that are done at a time; default what keeps 2²⁰ elements. */
  chunk?: number;
} & DistillationLevel;

const optionNames: Record<string, true> = {
  divergence: true,
  temperature: true,
  temperatureSquared: true,
  mask: true,
  chunk: true,
  level: true,
  sequences: true,
  count: true,
  mean: true,
};

/** What belongs to sequences alone, or to `sequences` given. */
function checkLevel(options: LogitDistillationOptions): void {
  const { level = "token", ...given } = options as Record<string, unknown> & { level?: string };
  if (level !== "token" && level !== "sequence")
    throw new RangeError(`logitDistillation: there is no level "${level}"; there are token and sequence.`);
  for (const name of ["sequences", "count", "mean"])
    if (level === "token" && given[name] !== undefined)
      throw new RangeError(`logitDistillation: ${name} would be ignored; it belongs to level "sequence".`);
  if (given.count !== undefined && given.sequences === undefined)
    throw new RangeError("logitDistillation: count would be ignored; it belongs to `sequences`.");
}

function checkMask(mask: tf.Tensor | undefined, logits: tf.Tensor): void {
  const places = logits.shape.slice(0, -1);
  if (mask && (mask.rank !== places.length || mask.shape.some((size, i) => size !== places[i])))
    throw new RangeError(`logitDistillation: the mask has shape [${mask.shape}], expected [${places}].`);
}

/** Sums or means over the tokens of each sequence. */
export function overSequences(
  losses: tf.Tensor1D,
  weights: tf.Tensor1D,
  { sequences, count, mean = false }: { sequences?: tf.Tensor1D; count?: number; mean?: boolean },
  shape: readonly number[],
): tf.Tensor1D {
  if (!sequences && shape.length !== 2)
    throw new RangeError(
      "logitDistillation: tell the sequences of the tokens, or give logits [sequences, L, V].",
    );
  const [rows, length] = [shape[0]!, shape[1] ?? 1];
  const ids =
    sequences ??
    tf.tensor1d(
      Int32Array.from({ length: rows * length }, (_, i) => Math.floor(i / length)),
      "int32",
    );
  const many = sequences ? count : rows;
  if (many === undefined)
    throw new RangeError("logitDistillation: `count` tells how many sequences there are.");
  const sums = segmentSum(losses, ids, many) as tf.Tensor1D;
  if (!mean) return sums;
  return tf.div(sums, tf.maximum(segmentSum(weights, ids, many), 1));
}

/**
 * Distillation by an f-divergence of next-token distributions, D_f(softmax(student/τ)‖softmax(teacher/τ)), differentiable in the
 * student alone; intermediate results exist for a chunk of the vocabulary at a time.
 *
 * @returns [tokens], or [sequences] at sequence level; the caller reduces, by the count of the whole batch
 * @throws RangeError on shapes, temperature or an unknown divergence
 */
export function logitDistillation(pair: TeacherStudent, options: LogitDistillationOptions = {}): tf.Tensor1D {
  checkOptions("logitDistillation", options, optionNames);
  checkLevel(options);
  const { divergence = forwardKl, temperature = 1, temperatureSquared = false, mask, chunk } = options;
  checkSameVocabulary("logitDistillation", pair);
  checkTemperature("logitDistillation", temperature);
  checkMask(mask, pair.student);
  if (chunk !== undefined && !(Number.isInteger(chunk) && chunk > 0))
    throw new RangeError(`logitDistillation: chunk is ${chunk}, expected a positive whole number.`);
  const d = typeof divergence === "string" ? divergenceByName(divergence) : divergence;
  return tf.tidy(() => {
    const student = logSoftened(flat(pair.student), temperature);
    const teacher = constant(logSoftened(flat(pair.teacher), temperature));
    let losses = chunkedDivergence(d, student, teacher, chunk);
    if (temperatureSquared) losses = tf.mul(losses, temperature ** 2);
    const weights = (
      mask ? tf.reshape(tf.cast(tf.notEqual(mask, 0), "float32"), [-1]) : tf.onesLike(losses)
    ) as tf.Tensor1D;
    // Chosen rather than multiplied, so that whatever stands at ignored tokens is ignored.
    if (mask) losses = tf.where(tf.greater(weights, 0), losses, tf.zerosLike(losses));
    return options.level === "sequence"
      ? overSequences(losses, weights, options, pair.student.shape.slice(0, -1))
      : losses;
  });
}
