import { gatherRows, linear, logSoftmax, segmentSum, selectedLogProbs } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { splitBranches } from "./branches.ts";
import type { CausalLm } from "./causal-lm.ts";
import { familyOf } from "./families.ts";
import { parameter } from "./projection.ts";
import { noBranch, type TokenRows } from "./token-rows.ts";

/** The head's weight [vocabularySize, hiddenSize]: the embedding table where the head is tied. */
export function headWeight(model: CausalLm): tf.Tensor2D {
  return parameter(model, familyOf(model.config.modelType).headName(model.config)) as tf.Tensor2D;
}

/** How many positions a model takes, or Infinity where dynamic scaling stretches as far as asked. */
export function positionLimit(model: CausalLm): number {
  return model.config.ropeScaling?.type === "dynamic" ? Number.POSITIVE_INFINITY : model.config.maxPositions;
}

function reachOf(model: CausalLm, rows: TokenRows): number {
  const { ids, positions, layout } = rows;
  const size = rows.rows * rows.length;
  if (ids.length !== size || positions.length !== size || layout.length !== 3 * rows.rows)
    throw new Error(
      `token rows of ${rows.rows} × ${rows.length} need ${size} ids and positions and ${3 * rows.rows} layout entries; ` +
        `got ${ids.length}, ${positions.length} and ${layout.length}.`,
    );
  let reach = 1;
  for (let i = 0; i < positions.length; i++) if (positions[i]! >= reach) reach = positions[i]! + 1;
  const limit = positionLimit(model);
  if (reach > limit)
    throw new Error(
      `a sequence of ${reach} tokens does not fit the model's ${limit} positions; truncate it or use another model.`,
    );
  return reach;
}

/** Whether some layer's window is so short, and some row's second branch so placed, that the branches must be split. */
function needsSplitting(model: CausalLm, rows: TokenRows): boolean {
  if (!model.config.slidingWindows.some((window) => window > 0 && window < rows.length)) return false;
  for (let row = 0; row < rows.rows; row++) if (rows.layout[3 * row + 2] !== noBranch) return true;
  return false;
}

/**
 * The final hidden states of every token, padding included.
 *
 * @returns [rows·length, hiddenSize]
 * @throws when a position is beyond the model's, an id beyond its vocabulary, or a second branch beyond the reach of a
 * sliding window (`splitBranches` gives it a row of its own; the functions below do so themselves).
 */
export function hiddenStates(model: CausalLm, rows: TokenRows): tf.Tensor2D {
  return statesOf(model, rows);
}

/** As `hiddenStates`; with `wanted`, the states at those flat indexes alone. */
function statesOf(model: CausalLm, rows: TokenRows, wanted?: Int32Array): tf.Tensor2D {
  const reach = reachOf(model, rows);
  if (needsSplitting(model, rows))
    throw new Error(
      `rows of ${rows.length} tokens are longer than the model's sliding window; their second branches need rows of their own (splitBranches).`,
    );
  const shape: [number, number] = [rows.rows, rows.length];
  return tf.tidy(() =>
    familyOf(model.config.modelType).hidden(model, {
      ids: tf.tensor2d(rows.ids, shape, "int32"),
      positions: tf.tensor2d(rows.positions, shape, "int32"),
      layout: tf.tensor2d(rows.layout, [rows.rows, 3], "int32"),
      reach,
      ...(wanted && { wanted: tf.tensor1d(wanted, "int32") }),
    }),
  );
}

/**
 * The hidden states at flat indexes row × length + t, wherever a sliding window made the rows be split. Behind its attention the
 * last layer computes these alone.
 */
export function scoredStates(model: CausalLm, rows: TokenRows, states: Int32Array): tf.Tensor2D {
  const split = needsSplitting(model, rows) ? splitBranches(rows) : undefined;
  const index = split ? states.map(split.stateOf) : states;
  // Dropout draws for every state of a row, so that a row's draws are its own whatever is scored of it.
  if (model.dropout)
    return gatherRows(statesOf(model, split?.rows ?? rows), tf.tensor1d(index, "int32")) as tf.Tensor2D;
  return statesOf(model, split?.rows ?? rows, index);
}

/**
 * The log-probability of each scored token, in nats, differentiable.
 *
 * @param options.chunk how many tokens' logits exist at a time
 * @returns [scored]
 */
export function tokenLogProbs(
  model: CausalLm,
  rows: TokenRows,
  options: { chunk?: number } = {},
): tf.Tensor1D {
  return tf.tidy(() => {
    const states = scoredStates(model, rows, rows.scored.state);
    return selectedLogProbs(states, headWeight(model), tf.tensor1d(rows.scored.target, "int32"), options);
  });
}

/**
 * The log-probability of each sequence's scored tokens together, Σ log p(token | before), in nats, differentiable.
 *
 * @returns [sequences]
 */
export function sequenceLogProbs(
  model: CausalLm,
  rows: TokenRows,
  options: { chunk?: number } = {},
): tf.Tensor1D {
  return tf.tidy(() => {
    const segments = tf.tensor1d(rows.scored.sequence, "int32");
    return segmentSum(tokenLogProbs(model, rows, options), segments, rows.sequences);
  });
}

/**
 * The logits after chosen tokens, differentiable.
 *
 * @param states flat indexes row × length + t; by default those of the scored tokens
 * @returns [states, vocabularySize]
 */
export function logits(
  model: CausalLm,
  rows: TokenRows,
  states: Int32Array = rows.scored.state,
): tf.Tensor2D {
  return tf.tidy(() => linear(scoredStates(model, rows, states), headWeight(model)) as tf.Tensor2D);
}

/**
 * The entropy of the law of each scored token, −Σ p log p over the vocabulary, in nats; not differentiable.
 *
 * @param options.chunk how many tokens' logits exist at a time, 64 by default
 * @returns [scored]
 */
export async function tokenEntropies(
  model: CausalLm,
  rows: TokenRows,
  options: { chunk?: number } = {},
): Promise<Float32Array> {
  const { chunk = 64 } = options;
  const count = rows.scored.state.length;
  const entropies = new Float32Array(count);
  const states = tf.tidy(() => scoredStates(model, rows, rows.scored.state));
  try {
    for (let from = 0; from < count; from += chunk) {
      const part = tf.tidy(() => {
        const some = tf.slice(states, [from, 0], [Math.min(chunk, count - from), -1]);
        const logp = logSoftmax(linear(some, headWeight(model)));
        return tf.neg(tf.sum(tf.mul(tf.exp(logp), logp), 1));
      });
      entropies.set((await part.data()) as Float32Array, from);
      part.dispose();
    }
  } finally {
    states.dispose();
  }
  return entropies;
}
