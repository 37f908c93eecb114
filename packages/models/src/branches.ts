import { noBranch, type TokenRows } from "./token-rows.ts";

/** Rows without a second branch, and where each flat state of the old rows lies in them. */
export interface SplitRows {
  rows: TokenRows;
  stateOf(state: number): number;
}

/**
 * Gives every second branch a row of its own, with its prompt before it.
 *
 * Needed where attention looks back over a window shorter than a row: the window counts indexes in the row, in which the
 * first branch would stand between the prompt and the second.
 */
export function splitBranches(rows: TokenRows): SplitRows {
  const { length, layout } = rows;
  const sources: { row: number; second: boolean }[] = [];
  const firstOf: number[] = [];
  for (let row = 0; row < rows.rows; row++) {
    firstOf.push(sources.length);
    sources.push({ row, second: false });
    if (layout[3 * row + 2] !== noBranch) sources.push({ row, second: true });
  }
  const ids = new Int32Array(sources.length * length);
  const positions = new Int32Array(ids.length);
  const split = new Int32Array(3 * sources.length);
  sources.forEach(({ row, second }, i) => {
    const from = row * length;
    const [prefixEnd, branchStart] = [layout[3 * row + 1]!, layout[3 * row + 2]!];
    const copy = (start: number, end: number, at: number) => {
      ids.set(rows.ids.subarray(from + start, from + end), i * length + at);
      positions.set(rows.positions.subarray(from + start, from + end), i * length + at);
    };
    copy(0, second ? prefixEnd : Math.min(branchStart, length), 0);
    if (second) copy(branchStart, length, prefixEnd);
    split.set([0, prefixEnd, noBranch], 3 * i);
  });
  const stateOf = (state: number): number => {
    const row = Math.floor(state / length);
    const t = state - row * length;
    const [prefixEnd, branchStart] = [layout[3 * row + 1]!, layout[3 * row + 2]!];
    const first = firstOf[row]! * length;
    return t < branchStart ? first + t : first + length + prefixEnd + (t - branchStart);
  };
  const scored = { ...rows.scored, state: rows.scored.state.map(stateOf) };
  return {
    rows: { ...rows, rows: sources.length, ids, positions, layout: split, scored },
    stateOf,
  };
}
