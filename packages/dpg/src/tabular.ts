import { gatherRows, logSoftmax, type Random } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import { logSumOf } from "./log-space.ts";
import type { Enumerable, Policy, Samples, Snapshot } from "./policy.ts";

/** The index of a table's row that outcomes depend on; undefined is row 0. */
export type TableContext = number | undefined;

/** A distribution over the outcomes 0 … n − 1, in each of the contexts 0 … m − 1, whose probabilities are numbers. */
export interface TabularDistribution extends Enumerable<number, TableContext> {
  /** ln probabilities of every outcome in a context, float64. */
  table(context?: TableContext): Float64Array;
}

/** A table of logits that can be trained: π(x|c) = softmax(logits[c])ₓ. */
export interface TabularPolicy extends TabularDistribution, Policy<number, TableContext> {
  logProbs(outcomes: readonly number[], contexts: readonly TableContext[]): tf.Tensor1D;
  snapshot(parameters?: ReadonlyMap<string, tf.Tensor>): TabularSnapshot;
  dispose(): void;
}

export interface TabularSnapshot extends TabularDistribution, Snapshot<number, TableContext> {}

const normalised = (row: ArrayLike<number>): Float64Array => {
  const total = logSumOf(row);
  return Float64Array.from(row, (x) => x - total);
};

/** An index drawn from ln probabilities by their running sum. */
export function drawIndex(logProbs: ArrayLike<number>, random: Random): number {
  let left = random.next();
  let last = 0;
  for (let i = 0; i < logProbs.length; i++) {
    const mass = Math.exp(logProbs[i]!);
    if (mass === 0) continue;
    last = i;
    left -= mass;
    if (left < 0) return i;
  }
  return last;
}

function rowOf(rows: readonly Float64Array[], context: TableContext): Float64Array {
  const row = rows[context ?? 0];
  if (!row) throw new RangeError(`A table of ${rows.length} contexts has no context ${context}.`);
  return row;
}

function sampleRows(
  rows: readonly Float64Array[],
  contexts: readonly TableContext[],
  random: Random,
): Samples<number> {
  const outcomes = contexts.map((context) => drawIndex(rowOf(rows, context), random));
  return { outcomes, logProbs: outcomes.map((x, i) => rowOf(rows, contexts[i])[x]!) };
}

function fromRows(rows: readonly Float64Array[]): TabularDistribution {
  return {
    sample: (contexts, random) => sampleRows(rows, contexts, random),
    logProbs: (outcomes, contexts) =>
      outcomes.map((x, i) => {
        const row = rowOf(rows, contexts[i]);
        if (!(x in row)) throw new RangeError(`A table of ${row.length} outcomes has no outcome ${x}.`);
        return row[x]!;
      }),
    support: (context) => Array.from(rowOf(rows, context).keys()),
    table: (context) => rowOf(rows, context),
  };
}

/**
 * A distribution from the probabilities of its outcomes, in one row a context, each normalised.
 *
 * @throws RangeError on a row without mass, a negative number, or rows of different lengths
 */
export function tabularDistribution(
  probabilities: readonly number[] | readonly (readonly number[])[],
): TabularDistribution {
  const rows = (
    typeof probabilities[0] === "number" ? [probabilities] : probabilities
  ) as readonly (readonly number[])[];
  for (const row of rows) {
    if (!row.every((p) => p >= 0 && p < Number.POSITIVE_INFINITY) || !row.some((p) => p > 0))
      throw new RangeError(`tabularDistribution: [${row}] are no probabilities.`);
    if (row.length !== rows[0]!.length)
      throw new RangeError("tabularDistribution: the contexts have different numbers of outcomes.");
  }
  return fromRows(rows.map((row) => normalised(row.map(Math.log))));
}

function readRows(logits: tf.Tensor): Float64Array[] {
  const values = logits.dataSync();
  const [contexts, outcomes] = logits.shape as [number, number];
  return Array.from({ length: contexts }, (_, c) =>
    normalised(values.subarray(c * outcomes, (c + 1) * outcomes)),
  );
}

/** ln π of outcomes from a tensor of logits [contexts, outcomes], differentiable. */
function scoreTable(
  logits: tf.Tensor,
  outcomes: readonly number[],
  contexts: readonly TableContext[],
): tf.Tensor1D {
  const [rows, columns] = logits.shape as [number, number];
  return tf.tidy(() => {
    const index = outcomes.map((x, i) => (contexts[i] ?? 0) * columns + x);
    const flat = tf.reshape(logSoftmax(logits), [rows * columns, 1]);
    return tf.reshape(gatherRows(flat, tf.tensor1d(index, "int32")), [outcomes.length]);
  });
}

/**
 * A policy that is a table: exact in all it says, for trying targets and divergences out.
 *
 * @param options.outcomes how many there are
 * @param options.contexts how many there are; default 1
 * @param options.logits to start from, [contexts][outcomes]; default 0
 */
export function tabularPolicy(options: {
  outcomes: number;
  contexts?: number;
  logits?: readonly (readonly number[])[];
}): TabularPolicy {
  const { outcomes, contexts = 1 } = options;
  const start = options.logits ?? Array.from({ length: contexts }, () => new Array<number>(outcomes).fill(0));
  if (start.length !== contexts || start.some((row) => row.length !== outcomes))
    throw new RangeError(`tabularPolicy: the logits are not ${contexts} rows of ${outcomes} numbers.`);
  const logits = tf.tidy(() => tf.variable(tf.tensor2d(start.flat(), [contexts, outcomes])));
  return {
    parameters: new Map([["logits", logits]]),
    sample: (asked, random) => sampleRows(readRows(logits), asked, random),
    logProbs: (drawn, asked) => scoreTable(logits, drawn, asked),
    support: () => Array.from({ length: outcomes }, (_, x) => x),
    table: (context) => rowOf(readRows(logits), context),
    snapshot(parameters) {
      const copy = tf.tidy(() => tf.mul(parameters?.get("logits") ?? logits, 1));
      const distribution = fromRows(readRows(copy));
      return { ...distribution, parameters: new Map([["logits", copy]]), dispose: () => copy.dispose() };
    },
    dispose: () => logits.dispose(),
  };
}
