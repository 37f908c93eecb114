import { dropout, dropoutMask, type Random, random, restoreRandom } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Parameterised } from "./parameterised.ts";

export interface DropoutOptions {
  /** Of the step: the same one draws the same. */
  seed: number | string;
  /** What tells the batch's rows apart: the draws of a row depend on the seed and this alone, whichever other rows are beside it. */
  rows: readonly (number | string)[];
  /** In place of the rates of the model's config; an adapter keeps its own. */
  rate?: number;
}

/** What a model draws from while it is trained with dropout. */
export interface DropoutDraws {
  base: Random;
  rows: readonly (number | string)[];
  rate?: number;
}

function drawingFrom<T>(model: Parameterised, draws: DropoutDraws | undefined, f: () => T): T {
  const before = model.dropout;
  if (draws) model.dropout = draws;
  else delete model.dropout;
  try {
    return f();
  } finally {
    if (before) model.dropout = before;
    else delete model.dropout;
  }
}

/**
 * Runs f, which computes a loss, with dropout at the rates of the model's config and of its adapter; everywhere else there is none.
 *
 * A row's draws are functions of the seed, the row's name and the place in the model, so that they are the same in any batch, at any padding
 * and when a layer is computed anew.
 *
 * @param f not asynchronous, for dropout ends when it returns
 * @throws RangeError when the rate is not in [0, 1)
 */
export function withDropout<T>(model: Parameterised, { seed, rows, rate }: DropoutOptions, f: () => T): T {
  if (rate !== undefined && !(rate >= 0 && rate < 1))
    throw new RangeError(`dropout: the rate must be in [0, 1), got ${rate}`);
  const base = random(seed).fork("dropout");
  return drawingFrom(model, { base, rows, ...(rate !== undefined && { rate }) }, f);
}

/** Runs f with the draws of now, or none, whenever it is called: a layer that is computed anew is so after its loss. */
export function withDrawsOfNow<A extends unknown[], T>(model: Parameterised, f: (...given: A) => T) {
  const draws = model.dropout;
  return (...given: A): T => drawingFrom(model, draws, () => f(...given));
}

/** Runs f with other names for the rows, such as of outputs in place of inputs. */
export function withRows<T>(
  model: Parameterised,
  rename: (rows: readonly (number | string)[]) => (number | string)[],
  f: () => T,
): T {
  const { dropout: draws } = model;
  return draws ? drawingFrom(model, { ...draws, rows: rename(draws.rows) }, f) : f();
}

/** The rate that counts now: none outside of `withDropout`. */
export const rateOf = ({ dropout: draws }: Parameterised, own: number): number =>
  draws ? (draws.rate ?? own) : 0;

const streamsOf = ({ base, rows }: DropoutDraws, place: string): Random[] => {
  const own = base.fork(place);
  return rows.map((row) => own.fork(row));
};

function checkRows({ rows }: DropoutDraws, count: number, place: string): void {
  if (!Number.isInteger(count / rows.length))
    throw new Error(
      `withDropout: ${rows.length} rows are named, and ${place} computes ${count} at once; name each row of the batch.`,
    );
}

/** x [rows·length, …] with a share of its numbers dropped at a place of the model; x itself where none is. */
export function dropped(model: Parameterised, place: string, x: tf.Tensor, rate: number): tf.Tensor {
  const { dropout: draws } = model;
  if (!draws || rate === 0) return x;
  checkRows(draws, x.shape[0]!, place);
  const mask = dropoutMask(streamsOf(draws, place), x.size / draws.rows.length, rate);
  return tf.tidy(() => dropout(x, tf.tensor(mask, x.shape)));
}

/** Blocks of random numbers apart from which two queries draw: far more than any row has keys. */
const blocksApart = 2 ** 20;

/** What attention's weights [rows, heads, queries, keys] are multiplied by at a place of the model. */
export function attentionMask(
  { dropout: draws }: Parameterised,
  place: string,
  [rows, heads, queries, keys]: [number, number, number, number],
  rate: number,
): tf.Tensor {
  checkRows(draws!, rows, place);
  const streams: Random[] = [];
  for (const stream of streamsOf(draws!, place))
    for (let head = 0; head < heads; head++) {
      // A query's numbers begin at a place of its own, so that they do not depend on how many keys another one has.
      const { key } = stream.fork(head).state();
      for (let query = 0; query < queries; query++)
        streams.push(restoreRandom({ key, counter: query * blocksApart, used: 4 }));
    }
  return tf.tensor(dropoutMask(streams, keys, rate), [rows, heads, queries, keys]);
}
