import type { Random } from "@fdiv/tensor-core";

/** Which contexts a step takes: each order of all of them is gone through before the next. */
export function contextsOf(step: number, perStep: number, count: number, root: Random): number[] {
  return Array.from({ length: perStep }, (_, i) => {
    const place = step * perStep + i;
    return count === 1
      ? 0
      : root.fork(`order ${Math.floor(place / count)}`).permutation(count)[place % count]!;
  });
}
