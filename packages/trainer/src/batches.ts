import { random } from "@fdiv/tensor-core";

/**
 * Batches by number rather than in a stream: any batch can be had at any time, so a run resumes exactly where it stopped.
 */
export interface BatchSource<M> {
  stepsPerEpoch: number;
  /** The micro-batches of one optimiser step. */
  batch(epoch: number, index: number): M[] | Promise<M[]>;
}

/** Where the rows of a micro-batch stand: what random numbers may be drawn by, so that they depend on neither the split nor what ran before. */
export interface BatchPlace {
  epoch: number;
  /** The batch's number in its epoch. */
  index: number;
  /** Of each row, its place in the batch. */
  places: number[];
}

export interface ShuffledBatchOptions<R, M> {
  rows: readonly R[];
  /** Rows an optimiser step. */
  batchSize: number;
  seed: number;
  /** A row's length, in the unit of `microBatchLength`. */
  lengthOf(row: R): number;
  /** Most padded length, rows × longest, computed at once; default: the whole batch. A longer row makes a micro-batch alone. */
  microBatchLength?: number;
  /** Makes a micro-batch of rows, which are told which step's they are, and each its place in the step's batch, whatever the split. */
  collate(rows: R[], of: BatchPlace): M;
  /** Whether the last rows of an epoch that fill no batch are left out; they are others each epoch. Default false. */
  dropLast?: boolean;
}

/**
 * Shuffled batches, another order each epoch, fixed by the seed. Within a batch rows of like length share a micro-batch; which rows
 * make a batch does not depend on length, so training sees no bias.
 */
export function shuffledBatches<R, M>(options: ShuffledBatchOptions<R, M>): BatchSource<M> {
  const { rows, batchSize, seed, lengthOf, collate, dropLast = false } = options;
  const limit = options.microBatchLength ?? Number.POSITIVE_INFINITY;
  if (rows.length === 0) throw new Error("shuffledBatches: there is no row to train on.");
  if (!(batchSize >= 1)) throw new RangeError(`shuffledBatches: batchSize is ${batchSize}.`);
  const size = Math.min(batchSize, rows.length);
  const stepsPerEpoch = dropLast ? Math.floor(rows.length / size) : Math.ceil(rows.length / size);
  let known: { epoch: number; order: ArrayLike<number> } | undefined;
  const orderOf = (epoch: number): ArrayLike<number> => {
    if (known?.epoch !== epoch)
      known = { epoch, order: random(seed).fork("batches").fork(epoch).permutation(rows.length) };
    return known.order;
  };
  return {
    stepsPerEpoch,
    batch(epoch, index) {
      const order = orderOf(epoch);
      const chosen = Array.from({ length: Math.min(size, rows.length - index * size) }, (_, place) => ({
        row: rows[order[index * size + place]!]!,
        place,
      }));
      return microBatches(chosen, ({ row }) => lengthOf(row), limit).map((group) =>
        collate(
          group.map(({ row }) => row),
          { epoch, index, places: group.map(({ place }) => place) },
        ),
      );
    },
  };
}

/** Groups rows by length so that none of the rectangles, rows × longest, is above the limit (but for a single row that is). */
export function microBatches<R>(rows: readonly R[], lengthOf: (row: R) => number, limit: number): R[][] {
  const sorted = rows.map((row) => ({ row, length: lengthOf(row) })).sort((a, b) => b.length - a.length);
  const groups: R[][] = [];
  let longest = 0;
  for (const { row, length } of sorted) {
    const group = groups.at(-1);
    if (group && (group.length + 1) * longest <= limit) group.push(row);
    else {
      groups.push([row]);
      longest = length;
    }
  }
  return groups;
}
