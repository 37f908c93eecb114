import { log1p } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Arithmetic } from "./arithmetic.ts";

/** Below this |a| the Taylor series of eᵃ − 1 − a is used; ten terms reach the last bit of a float32. */
const radius = 1;
const terms = 11;

function series(a: tf.Tensor): tf.Tensor {
  let sum: tf.Tensor = tf.onesLike(a);
  for (let k = terms; k > 2; k -= 1) sum = tf.add(1, tf.mul(tf.div(a, k), sum));
  return tf.mul(tf.mul(0.5, tf.mul(a, a)), sum);
}

const isNear = (a: tf.Tensor): tf.Tensor => tf.less(tf.abs(a), radius);

function expm2(a: tf.Tensor): tf.Tensor {
  return tf.where(isNear(a), series(a), tf.sub(tf.sub(tf.exp(a), 1), a));
}

/** Some backends' own expm1 is eᵃ − 1 as it stands. */
function expm1(a: tf.Tensor): tf.Tensor {
  return tf.where(isNear(a), tf.add(a, series(a)), tf.sub(tf.exp(a), 1));
}

/** The backends' own sigmoid loses digits far below 0 on some of them. */
function sigmoid(a: tf.Tensor): tf.Tensor {
  const e = tf.exp(tf.neg(tf.abs(a)));
  return tf.div(tf.where(tf.less(a, 0), e, tf.onesLike(e)), tf.add(1, e));
}

/** Definitions read in single precision on the current backend. */
export const tensors: Arithmetic<tf.Tensor> = {
  add: (a, b) => tf.add(a, b),
  subtract: (a, b) => tf.sub(a, b),
  multiply: (a, b) => tf.mul(a, b),
  divide: (a, b) => tf.div(a, b),
  constant: (a, c) => tf.fill(a.shape, c),
  scale: (a, c) => (c === 1 ? a : tf.mul(a, c)),
  shift: (a, c) => tf.add(a, c),
  exp: (a) => tf.exp(a),
  expm1,
  expm2,
  log: (a) => tf.log(a),
  log1p: (a) => log1p(a),
  power: (a, c) => tf.pow(a, c),
  abs: (a) => tf.abs(a),
  // Not every backend's own sign sees the smallest numbers.
  sign: (a) => tf.sub(tf.cast(tf.greater(a, 0), "float32"), tf.cast(tf.less(a, 0), "float32")),
  sigmoid,
  negativePart: (a) => tf.minimum(a, 0),
  positivePart: (a) => tf.maximum(a, 0),
  near: (a, within, inside, outside) => tf.where(tf.less(tf.abs(a), within), inside, outside),
};
