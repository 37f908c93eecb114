import * as tf from "@tensorflow/tfjs-core";
import { setting } from "./setting.ts";

// GPT-2 as one writes it with TensorFlow.js alone. The one thing it lacks on wasm, the gradient of an embedding, is made of a
// one-hot product.

type Weights = Map<string, tf.Variable>;

function embed(table: tf.Tensor2D, ids: tf.Tensor1D): tf.Tensor2D {
  const rows = table.shape[0];
  return tf.customGrad((x, save) => {
    (save as tf.GradSaveFunc)([ids]);
    return {
      value: tf.gather(x as tf.Tensor2D, ids),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const hot = tf.oneHot(saved[0] as tf.Tensor1D, rows) as tf.Tensor2D;
        return tf.matMul(tf.transpose(tf.cast(hot, "float32")), dy as tf.Tensor2D);
      },
    };
  })(table) as tf.Tensor2D;
}

function layerNorm(x: tf.Tensor, scale: tf.Tensor, bias: tf.Tensor): tf.Tensor {
  const { mean, variance } = tf.moments(x, -1, true);
  return tf.add(tf.mul(tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, 1e-5))), scale), bias);
}

const gelu = (x: tf.Tensor): tf.Tensor =>
  tf.mul(
    tf.mul(x, 0.5),
    tf.add(1, tf.tanh(tf.mul(Math.sqrt(2 / Math.PI), tf.add(x, tf.mul(0.044715, tf.mul(x, tf.mul(x, x))))))),
  );

/** Random weights under GPT-2's names. */
export function stockWeights(): Weights {
  const { vocabulary, hidden, layers, feedForward } = setting;
  const weights: Weights = new Map();
  const add = (name: string, shape: number[], value = Number.NaN): void => {
    const start = Number.isNaN(value) ? tf.randomNormal(shape, 0, 0.02) : tf.fill(shape, value);
    weights.set(name, tf.variable(start, true, name));
  };
  add("wte", [vocabulary, hidden]);
  add("wpe", [256, hidden]);
  for (let i = 0; i < layers; i++) {
    for (const norm of ["ln_1", "ln_2"]) {
      add(`${i}.${norm}.weight`, [hidden], 1);
      add(`${i}.${norm}.bias`, [hidden], 0);
    }
    for (const [name, from, to] of [
      ["c_attn", hidden, 3 * hidden],
      ["c_proj", hidden, hidden],
      ["c_fc", hidden, feedForward],
      ["c_out", feedForward, hidden],
    ] as const) {
      add(`${i}.${name}.weight`, [from, to]);
      add(`${i}.${name}.bias`, [to], 0);
    }
  }
  add("ln_f.weight", [hidden], 1);
  add("ln_f.bias", [hidden], 0);
  return weights;
}

/** Sums of the completions' log-probabilities, [rows], with the head at completion positions only. */
export function stockLogProbs(weights: Weights, ids: Int32Array, rows: number): tf.Tensor1D {
  const { hidden, heads, layers, prompt, completion } = setting;
  const length = prompt + completion;
  const w = (name: string): tf.Tensor => weights.get(name)!;
  const dense = (x: tf.Tensor, name: string): tf.Tensor =>
    tf.add(tf.matMul(x as tf.Tensor2D, w(`${name}.weight`) as tf.Tensor2D), w(`${name}.bias`));
  const split = (x: tf.Tensor): tf.Tensor =>
    tf.transpose(tf.reshape(x, [rows, length, heads, hidden / heads]), [0, 2, 1, 3]);
  const hiding = tf.mul(-1e9, tf.sub(1, tf.linalg.bandPart(tf.ones([length, length]), -1, 0)));
  let x = tf.add(
    tf.reshape(embed(w("wte") as tf.Tensor2D, tf.tensor1d(ids, "int32")), [rows, length, hidden]),
    tf.slice(w("wpe") as tf.Tensor2D, [0, 0], [length, hidden]),
  );
  x = tf.reshape(x, [rows * length, hidden]);
  for (let i = 0; i < layers; i++) {
    const mixed = dense(layerNorm(x, w(`${i}.ln_1.weight`), w(`${i}.ln_1.bias`)), `${i}.c_attn`);
    const [q, k, v] = tf.split(mixed, 3, 1).map(split);
    const scores = tf.add(tf.mul(tf.matMul(q!, k!, false, true), 1 / Math.sqrt(hidden / heads)), hiding);
    const seen = tf.matMul(tf.softmax(scores), v!);
    x = tf.add(
      x,
      dense(tf.reshape(tf.transpose(seen, [0, 2, 1, 3]), [rows * length, hidden]), `${i}.c_proj`),
    );
    const inner = gelu(dense(layerNorm(x, w(`${i}.ln_2.weight`), w(`${i}.ln_2.bias`)), `${i}.c_fc`));
    x = tf.add(x, dense(inner, `${i}.c_out`));
  }
  x = layerNorm(x, w("ln_f.weight"), w("ln_f.bias"));
  const states = tf.slice(
    tf.reshape(x, [rows, length, hidden]),
    [0, prompt - 1, 0],
    [rows, completion, hidden],
  );
  const logits = tf.matMul(
    tf.reshape(states, [rows * completion, hidden]),
    w("wte") as tf.Tensor2D,
    false,
    true,
  );
  const targets = new Int32Array(rows * completion);
  for (let row = 0; row < rows; row++)
    targets.set(ids.subarray(row * length + prompt, (row + 1) * length), row * completion);
  const hot = tf.oneHot(tf.tensor1d(targets, "int32"), setting.vocabulary);
  const chosen = tf.sum(tf.mul(tf.logSoftmax(logits), tf.cast(hot, "float32")), 1);
  return tf.sum(tf.reshape(chosen, [rows, completion]), 1) as tf.Tensor1D;
}
