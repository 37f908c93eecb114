import { gatherRows, logSoftmax, softmax } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

/** Logits of both models at the same places: [examples, V] or [sequences, L, V]; never differentiated in the teacher's. */
export interface TeacherStudent {
  student: tf.Tensor;
  teacher: tf.Tensor;
}

/** @throws TypeError when one of both is no tensor */
export function checkLogits(what: string, pair: TeacherStudent): void {
  for (const side of ["student", "teacher"] as const)
    if (!(pair?.[side] instanceof tf.Tensor))
      throw new TypeError(`${what}: expected { student, teacher } of logits, and ${side} is no tensor.`);
}

/** @throws RangeError when ranks or shapes are not those of logits of one vocabulary */
export function checkSameVocabulary(what: string, pair: TeacherStudent): void {
  checkLogits(what, pair);
  const { student, teacher } = pair;
  if (
    student.rank !== teacher.rank ||
    (student.rank !== 2 && student.rank !== 3) ||
    student.shape.some((size, i) => size !== teacher.shape[i])
  )
    throw new RangeError(
      `${what}: student has shape [${student.shape}] and teacher [${teacher.shape}], expected both [examples, V] or [sequences, L, V]; ` +
        "for two vocabularies take universalLogitDistance or multiLevelDistillation.",
    );
}

export function checkTemperature(what: string, temperature: number): void {
  if (!(temperature > 0 && temperature < Number.POSITIVE_INFINITY))
    throw new RangeError(`${what}: temperature is ${temperature}, expected a positive finite number.`);
}

/** [examples, V] or [sequences, L, V] as [tokens, V]. */
export const flat = (logits: tf.Tensor): tf.Tensor2D =>
  tf.reshape(logits, [
    logits.shape.slice(0, -1).reduce((product, size) => product * size, 1),
    logits.shape.at(-1)!,
  ]);

/** Where a mask over tokens, [examples] or [sequences, L], is not 0. */
export function keptTokens(what: string, mask: tf.Tensor, logits: tf.Tensor): Int32Array {
  const places = logits.shape.slice(0, -1);
  if (mask.rank !== places.length || mask.shape.some((size, i) => size !== places[i]))
    throw new RangeError(`${what}: the mask has shape [${mask.shape}], expected [${places}].`);
  const kept: number[] = [];
  mask.dataSync().forEach((value: number, i: number) => {
    if (value) kept.push(i);
  });
  return Int32Array.from(kept);
}

/** The rows of [tokens, V] that a mask keeps, in order. */
export function keptRows(logits: tf.Tensor2D, kept: Int32Array): tf.Tensor2D {
  if (kept.length === logits.shape[0]) return logits;
  if (kept.length === 0) return tf.slice(logits, 0, 0);
  return gatherRows(logits, tf.tensor1d(kept, "int32")) as tf.Tensor2D;
}

/** Logits [sequences, L, V] with zeros where there is no token, so that whatever stands there has no part in values and gradients. */
export const presentLogits = (logits: tf.Tensor, mask: tf.Tensor2D): tf.Tensor3D =>
  tf.where(tf.greater(tf.expandDims(mask, 2), 0), logits, tf.zerosLike(logits)) as tf.Tensor3D;

/** softmax(logits/τ) over the last axis. */
export const softened = (logits: tf.Tensor, temperature: number): tf.Tensor =>
  softmax(temperature === 1 ? logits : tf.div(logits, temperature));

/** log softmax(logits/τ) over the last axis. */
export const logSoftened = (logits: tf.Tensor, temperature: number): tf.Tensor2D =>
  logSoftmax(temperature === 1 ? logits : tf.div(logits, temperature)) as tf.Tensor2D;

/** x as a constant, through which no gradient goes. */
export function constant<T extends tf.Tensor>(x: T): T {
  return tf.customGrad((y) => ({ value: tf.clone(y as tf.Tensor), gradFunc: () => tf.zerosLike(x) }))(x) as T;
}
