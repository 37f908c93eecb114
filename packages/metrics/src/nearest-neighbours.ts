import { type Rows, squaredDistances } from "./row-blocks.ts";

/** Rows of one tile of distances. */
const side = 64;

/** Tells every tile of squared distances [rows of a × rows of b], of two sets or, with one, of its pairs once each. */
export function overDistances(
  a: Rows,
  b: Rows,
  visit: (distances: Float64Array, firstA: number, countA: number, firstB: number, countB: number) => void,
): void {
  const tile = new Float64Array(side * side);
  const part = ({ values, count, width }: Rows, first: number): Rows => {
    const last = Math.min(count, first + side);
    return { values: values.subarray(first * width, last * width), count: last - first, width };
  };
  for (let i = 0; i < a.count; i += side)
    for (let j = a === b ? i : 0; j < b.count; j += side) {
      const [rows, columns] = [part(a, i), part(b, j)];
      squaredDistances(tile, rows, columns);
      visit(tile, i, rows.count, j, columns.count);
    }
}

/** Each row's squared distance to its k-th nearest other row. */
export function neighbourRadii(set: Rows, k: number): Float64Array {
  // The k smallest so far of each row, rising.
  const best = new Float64Array(set.count * k).fill(Number.POSITIVE_INFINITY);
  const offer = (row: number, distance: number): void => {
    const start = row * k;
    let at = start + k - 1;
    if (!(distance < best[at]!)) return;
    for (; at > start && best[at - 1]! > distance; at--) best[at] = best[at - 1]!;
    best[at] = distance;
  };
  overDistances(set, set, (distances, firstA, countA, firstB, countB) => {
    for (let i = 0; i < countA; i++)
      for (let j = firstA === firstB ? i + 1 : 0; j < countB; j++) {
        const distance = distances[i * countB + j]!;
        offer(firstA + i, distance);
        offer(firstB + j, distance);
      }
  });
  return Float64Array.from({ length: set.count }, (_, i) => best[i * k + k - 1]!);
}
