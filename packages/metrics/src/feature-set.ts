import type { Rows } from "./row-blocks.ts";

/** Features of samples, one row a sample: raw pixels, a classifier's inner activations, or anything else. */
export interface FeatureSet {
  /** [count × dimensions] in row order. */
  values: ArrayLike<number>;
  count: number;
  dimensions: number;
}

/** Rows of numbers as a feature set. */
export function featureSet(rows: readonly ArrayLike<number>[]): FeatureSet {
  const dimensions = rows[0]?.length ?? 0;
  const values = new Float64Array(rows.length * dimensions);
  rows.forEach((row, i) => {
    if (row.length !== dimensions)
      throw new RangeError(`featureSet: row ${i} has ${row.length} numbers, the first ${dimensions}.`);
    values.set(Array.from(row), i * dimensions);
  });
  return { values, count: rows.length, dimensions };
}

/** @throws RangeError unless both have rows of the same length, all finite */
export function checkPair(what: string, a: FeatureSet, b: FeatureSet, least: number): void {
  for (const set of [a, b]) {
    if (set.values.length !== set.count * set.dimensions || set.dimensions < 1)
      throw new RangeError(
        `${what}: ${set.values.length} numbers are not ${set.count} rows of ${set.dimensions}.`,
      );
    if (set.count < least) throw new RangeError(`${what}: ${set.count} samples; it takes ${least} or more.`);
    for (let i = 0; i < set.values.length; i++)
      if (!Number.isFinite(set.values[i]!))
        throw new RangeError(
          `${what}: sample ${Math.floor(i / set.dimensions)} has a feature that is ${set.values[i]}.`,
        );
  }
  if (a.dimensions !== b.dimensions)
    throw new RangeError(`${what}: features of ${a.dimensions} and ${b.dimensions} dimensions.`);
}

/** Rows first to last, last not included; what measures compute in, float64. */
export function rows({ values, dimensions }: FeatureSet, first: number, last: number): Rows {
  const [from, length] = [first * dimensions, (last - first) * dimensions];
  const own = new Float64Array(length);
  if (ArrayBuffer.isView(values)) own.set((values as Float64Array).subarray(from, from + length));
  else for (let i = 0; i < length; i++) own[i] = values[from + i]!;
  return { values: own, count: last - first, width: dimensions };
}
