import { gatherRows, logSoftmax, type Random, segmentSum } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Enumerable, Policy, Samples, Snapshot } from "./policy.ts";
import { drawIndex, tabularDistribution } from "./tabular.ts";

/** Short sequences of tokens, each token's law a row of a table that its whole prefix chooses. */
export interface AutoregressiveTabularPolicy
  extends Policy<readonly number[], undefined>,
    Enumerable<readonly number[], undefined> {
  /** How many prefixes there are that a token may follow. */
  readonly prefixes: number;
  /** ln probability of each token [tokens], differentiable; the prefix before it and the outcome that it belongs to, by number. */
  tokens(outcomes: readonly (readonly number[])[]): {
    logProbs: tf.Tensor1D;
    prefixes: Int32Array;
    sequences: Int32Array;
  };
  logProbs(outcomes: readonly (readonly number[])[]): tf.Tensor1D;
  snapshot(parameters?: ReadonlyMap<string, tf.Tensor>): Snapshot<readonly number[], undefined>;
  dispose(): void;
}

/**
 * A language model in the small: sequences of up to `length` tokens of a vocabulary, ended early by token `end` if there is one, with a
 * free law after every prefix.
 *
 * @throws RangeError when there would be more than 10⁵ prefixes
 */
export function autoregressiveTabularPolicy(options: {
  vocabulary: number;
  length: number;
  end?: number;
  logits?: ArrayLike<number>;
}): AutoregressiveTabularPolicy {
  const { vocabulary, length, end } = options;
  let prefixes = 0;
  for (let t = 0; t < length; t++) prefixes += vocabulary ** t;
  if (!(vocabulary >= 1 && length >= 1 && prefixes * vocabulary <= 1e5))
    throw new RangeError(
      `autoregressiveTabularPolicy: ${vocabulary} tokens and length ${length} make ${prefixes} prefixes; at most 10⁵ numbers are held.`,
    );
  const start = options.logits ?? new Float32Array(prefixes * vocabulary);
  const logits = tf.tidy(() => tf.variable(tf.tensor2d(Float32Array.from(start), [prefixes, vocabulary])));

  /** Prefixes in order of length, each after its parent: child v of prefix r is r·V + v + 1. */
  const cellsOf = (sequence: readonly number[]): number[] => {
    let row = 0;
    return sequence.map((token) => {
      const cell = row * vocabulary + token;
      row = cell + 1;
      return cell;
    });
  };

  const tokensOf = (table: tf.Tensor, outcomes: readonly (readonly number[])[]) => {
    const cells = Int32Array.from(outcomes.flatMap(cellsOf));
    const sequences = Int32Array.from(outcomes.flatMap((sequence, i) => sequence.map(() => i)));
    const logProbs = tf.tidy(() => {
      const flat = tf.reshape(logSoftmax(table), [prefixes * vocabulary, 1]);
      return tf.reshape(gatherRows(flat, tf.tensor1d(cells, "int32")), [cells.length]) as tf.Tensor1D;
    });
    return { logProbs, prefixes: cells.map((cell) => Math.floor(cell / vocabulary)), sequences };
  };

  const scored = (table: tf.Tensor, outcomes: readonly (readonly number[])[]): tf.Tensor1D =>
    tf.tidy(() => {
      const { logProbs, sequences } = tokensOf(table, outcomes);
      return segmentSum(logProbs, tf.tensor1d(sequences, "int32"), outcomes.length);
    });

  function sampled(table: tf.Tensor, count: number, random: Random): Samples<readonly number[]> {
    const values = table.dataSync();
    const rows = tabularDistribution(
      Array.from({ length: prefixes }, (_, r) => {
        const row = Array.from(values.subarray(r * vocabulary, (r + 1) * vocabulary));
        const largest = Math.max(...row);
        return row.map((x) => Math.exp(x - largest));
      }),
    );
    const outcomes: number[][] = [];
    const logProbs: number[] = [];
    for (let i = 0; i < count; i++) {
      const sequence: number[] = [];
      let row = 0;
      let logProb = 0;
      while (sequence.length < length) {
        const token = drawIndex(rows.table(row), random);
        sequence.push(token);
        logProb += rows.table(row)[token]!;
        if (token === end) break;
        row = row * vocabulary + token + 1;
      }
      outcomes.push(sequence);
      logProbs.push(logProb);
    }
    return { outcomes, logProbs };
  }

  function listed(prefix: readonly number[]): (readonly number[])[] {
    if (prefix.length === length || (prefix.length > 0 && prefix.at(-1) === end)) return [prefix];
    return Array.from({ length: vocabulary }, (_, token) => listed([...prefix, token])).flat();
  }

  return {
    prefixes,
    parameters: new Map([["logits", logits]]),
    tokens: (outcomes) => tokensOf(logits, outcomes),
    sample: (contexts, random) => sampled(logits, contexts.length, random),
    logProbs: (outcomes) => scored(logits, outcomes),
    support: () => listed([]),
    snapshot(parameters) {
      const copy = tf.tidy(() => tf.mul(parameters?.get("logits") ?? logits, 1));
      return {
        parameters: new Map([["logits", copy]]),
        sample: (contexts, random) => sampled(copy, contexts.length, random),
        logProbs: (outcomes) => scored(copy, outcomes),
        dispose: () => copy.dispose(),
      };
    },
    dispose: () => logits.dispose(),
  };
}
