import type { TokenPair } from "@fdiv/data";
import type { Pair, PairLogProbs } from "@fdiv/dpo";
import { type CausalLm, sequenceLogProbs, type TokenRows, tokenRows } from "@fdiv/models";
import * as tf from "@tensorflow/tfjs-core";

/** A pair with what the reference says of its sides. */
export interface ReferredPair extends TokenPair {
  reference: { chosen: number; rejected: number };
}

export interface PairBatch {
  pairs: ReferredPair[];
  rows: TokenRows;
}

/** Tokens that a pair's rows take. */
export const pairLength = ({ prompt, chosen, rejected }: TokenPair, sharePrompt: boolean): number =>
  sharePrompt
    ? prompt.length + chosen.length + rejected.length
    : 2 * (prompt.length + Math.max(chosen.length, rejected.length));

/** Rows of pairs, each side a sequence: the chosen of pair i is 2i, the rejected 2i + 1. */
export function pairRows(pairs: readonly TokenPair[], sharePrompt: boolean, padId = 0): TokenRows {
  return tokenRows(
    pairs.flatMap(({ prompt, chosen, rejected }) =>
      sharePrompt
        ? [{ prompt, completions: [chosen, rejected] }]
        : [
            { prompt, completions: [chosen] },
            { prompt, completions: [rejected] },
          ],
    ),
    padId,
  );
}

/** A micro-batch of pairs. */
export const pairBatch = (pairs: ReferredPair[], sharePrompt: boolean): PairBatch => ({
  pairs,
  rows: pairRows(pairs, sharePrompt),
});

/** The policy's and the reference's log-probabilities of a micro-batch, [pairs] each; the policy's are differentiable. */
export function pairLogProbs(model: CausalLm, { pairs, rows }: PairBatch): PairLogProbs {
  const sides = tf.reshape(sequenceLogProbs(model, rows), [pairs.length, 2]);
  const [chosen, rejected] = tf.unstack(sides, 1) as [tf.Tensor1D, tf.Tensor1D];
  return {
    policy: { chosen, rejected },
    reference: {
      chosen: tf.tensor1d(pairs.map(({ reference }) => reference.chosen)),
      rejected: tf.tensor1d(pairs.map(({ reference }) => reference.rejected)),
    },
  };
}

/** Tokens of each side, [pairs]. */
export function pairLengths(pairs: readonly TokenPair[]): Pair {
  return {
    chosen: tf.tensor1d(pairs.map(({ chosen }) => chosen.length)),
    rejected: tf.tensor1d(pairs.map(({ rejected }) => rejected.length)),
  };
}
