import { DivergedError } from "./diverged.ts";

/** Steps that were left out because their gradient was not finite. */
export interface SkippedSteps {
  readonly total: number;
  /** Counts a step of a net. @throws DivergedError after `patience` skipped ones of it in a row */
  note(net: string, skipped: boolean, iteration: number): void;
  save(): { skipped: number; skippedInARow: Record<string, number> };
  load(json: Record<string, unknown>): void;
}

export function skippedSteps(patience: number): SkippedSteps {
  let total = 0;
  /** By net: one that trains well must not hide another that does not. */
  let inARow: Record<string, number> = {};
  return {
    get total() {
      return total;
    },
    note(net, skipped, iteration) {
      if (skipped) total++;
      const times = skipped ? (inARow[net] ?? 0) + 1 : 0;
      inARow[net] = times;
      if (times >= patience)
        throw new DivergedError(
          `distil: the last ${times} gradients of the ${net} were not finite, up to iteration ${iteration}. Go on from an earlier snapshot with a lower learning rate.`,
        );
    },
    save: () => ({ skipped: total, skippedInARow: { ...inARow } }),
    load(json) {
      total = Number(json.skipped);
      inARow = { ...(json.skippedInARow as Record<string, number>) };
    },
  };
}
