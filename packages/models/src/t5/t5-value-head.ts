import { selectedLogProbs } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { type ValueHead, valuesOf } from "../value-head.ts";
import type { T5Batch } from "./t5-batch.ts";
import { type T5, t5HeadWeight } from "./t5-model.ts";
import { headStates, scoredDecoderStates } from "./t5-scoring.ts";

/**
 * The value of what comes before each scored token of the outputs, a linear function of the decoder's state, differentiable.
 *
 * @returns [scored]
 */
export function t5TokenValues(model: T5, head: ValueHead<T5>, batch: T5Batch): tf.Tensor1D {
  return tf.tidy(() => valuesOf(head, scoredDecoderStates(head.trunk ?? model, batch)));
}

/**
 * The log-probability of each scored token and the value of what comes before it, differentiable; with a shared trunk encoder and decoder run
 * once.
 *
 * @param options.chunk how many tokens' logits exist at a time
 * @returns [scored] each
 */
export function t5TokenLogProbsAndValues(
  model: T5,
  head: ValueHead<T5>,
  batch: T5Batch,
  options: { chunk?: number } = {},
): { logProbs: tf.Tensor1D; values: tf.Tensor1D } {
  const [logProbs, values] = tf.tidy((): [tf.Tensor1D, tf.Tensor1D] => {
    const states = scoredDecoderStates(model, batch);
    const targets = tf.tensor1d(batch.scored.target, "int32");
    return [
      selectedLogProbs(headStates(model, states), t5HeadWeight(model), targets, options),
      head.trunk ? t5TokenValues(model, head, batch) : valuesOf(head, states),
    ];
  });
  return { logProbs, values };
}
