import { gatherRows, linear, reshape, segmentSum, selectedLogProbs } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { withRows } from "../dropout.ts";
import { bidirectionalLayout } from "../encoders/encode.ts";
import type { EncoderBatch } from "../encoders/encoder-batch.ts";
import { noBranch } from "../token-rows.ts";
import type { T5Batch } from "./t5-batch.ts";
import { throughStack } from "./t5-blocks.ts";
import { type T5, t5HeadWeight } from "./t5-model.ts";

/**
 * The encoder's final states of every input token, padding included, differentiable.
 *
 * @returns [rows, length, hiddenSize]
 * @throws when an id is beyond the vocabulary
 */
export function t5EncoderStates(model: T5, { rows, length, ids, lengths }: EncoderBatch): tf.Tensor3D {
  return tf.tidy(() => {
    const layout = bidirectionalLayout(lengths, length);
    const input = { rows, layout, from: 0, keys: length };
    const states = throughStack(model, "encoder", tf.tensor2d(ids, [rows, length], "int32"), input);
    return reshape(states, [rows, length, model.config.hiddenSize]) as tf.Tensor3D;
  });
}

/** States as the head takes them: scaled where its table is the embedding's (Raffel et al. 2019, as Mesh TensorFlow has it). */
export const headStates = ({ config }: T5, states: tf.Tensor2D): tf.Tensor2D =>
  config.scaledHead ? tf.mul(states, config.hiddenSize ** -0.5) : states;

/** Names for the outputs of named inputs: that of the input, and the output's place among the input's. */
const namesOfOutputs = (inputOf: Int32Array) => (names: readonly (number | string)[]) => {
  const counts = new Map<number, number>();
  return Array.from(inputOf, (input) => {
    const place = counts.get(input) ?? 0;
    counts.set(input, place + 1);
    return `${names[input]}/${place}`;
  });
};

/** Rows of [n, …] tensors by index; the tensor itself where each row is its own. */
export function pickRows(x: tf.Tensor3D, index: Int32Array): tf.Tensor3D {
  const [rows, length, size] = x.shape;
  if (index.length === rows && index.every((row, i) => row === i)) return x;
  const picked = gatherRows(reshape(x, [rows, length * size]), tf.tensor1d(index, "int32"));
  return reshape(picked, [index.length, length, size]) as tf.Tensor3D;
}

/** The decoder's final, normalised states of every output token, [rows·length, hiddenSize], before the head's scale. */
function decoderStates(model: T5, { inputs, outputs }: T5Batch, encoded?: tf.Tensor3D): tf.Tensor2D {
  return tf.tidy(() => {
    const states = pickRows(encoded ?? t5EncoderStates(model, inputs), outputs.input);
    const { rows, length } = outputs;
    const causal = new Int32Array(3 * rows);
    for (let row = 0; row < rows; row++) causal.set([0, 0, noBranch], 3 * row);
    const seen = outputs.input.map((row) => inputs.lengths[row]!);
    const input = {
      ...{ rows, from: 0, keys: length },
      layout: tf.tensor2d(causal, [rows, 3], "int32"),
      crossLayout: bidirectionalLayout(seen, inputs.length),
    };
    const ids = tf.tensor2d(outputs.ids, [rows, length], "int32");
    const crossed = reshape(states, [-1, model.config.hiddenSize]);
    const decode = () => throughStack(model, "decoder", ids, input, { crossed });
    return withRows(model, namesOfOutputs(outputs.input), decode);
  });
}

/**
 * The decoder's final states of every output token, given the outputs before it, as the head takes them; padding included,
 * differentiable.
 *
 * @param encoded the inputs' states, where they are at hand; by default they are computed
 * @returns [rows·length, hiddenSize]
 */
export const t5HiddenStates = (model: T5, batch: T5Batch, encoded?: tf.Tensor3D): tf.Tensor2D =>
  tf.tidy(() => headStates(model, decoderStates(model, batch, encoded)));

/** The decoder's states that predict the scored tokens, [scored, hiddenSize], before the head's scale. */
export const scoredDecoderStates = (model: T5, batch: T5Batch, states = batch.scored.state): tf.Tensor2D =>
  gatherRows(decoderStates(model, batch), tf.tensor1d(states, "int32")) as tf.Tensor2D;

/** The same as the head takes them. */
const scoredStates = (model: T5, batch: T5Batch, states: Int32Array): tf.Tensor2D =>
  headStates(model, scoredDecoderStates(model, batch, states));

/**
 * The logits of each scored token's law, differentiable, as distillation needs them.
 *
 * @param states flat indexes row × length + t; by default those of the scored tokens
 * @returns [states, vocabularySize]
 */
export function t5Logits(model: T5, batch: T5Batch, states: Int32Array = batch.scored.state): tf.Tensor2D {
  return tf.tidy(() => linear(scoredStates(model, batch, states), t5HeadWeight(model)) as tf.Tensor2D);
}

/**
 * The log-probability of each scored token, in nats, differentiable; all logits are never held.
 *
 * @param options.chunk how many tokens' logits exist at a time
 * @returns [scored]
 */
export function t5TokenLogProbs(model: T5, batch: T5Batch, options: { chunk?: number } = {}): tf.Tensor1D {
  return tf.tidy(() => {
    const states = scoredStates(model, batch, batch.scored.state);
    return selectedLogProbs(states, t5HeadWeight(model), tf.tensor1d(batch.scored.target, "int32"), options);
  });
}

/**
 * The log-probability of each output given its input, Σ log p(token | input, before), in nats, differentiable.
 *
 * @returns [sequences]
 */
export function seq2seqLogProbs(model: T5, batch: T5Batch, options: { chunk?: number } = {}): tf.Tensor1D {
  return tf.tidy(() => {
    const segments = tf.tensor1d(batch.scored.sequence, "int32");
    return segmentSum(t5TokenLogProbs(model, batch, options), segments, batch.sequences);
  });
}
