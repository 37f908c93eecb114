import { hash53, hashUniform } from "./hash.ts";
import type { Message } from "./row.ts";

const promptText = (prompt: string | readonly Message[]): string =>
  typeof prompt === "string" ? prompt : prompt.map(({ role, content }) => `${role}\n${content}`).join("\n\n");

/**
 * Holds out a share of the prompts: a prompt is on one side wherever and however often it occurs, whatever the order of the rows.
 * Rows without a prompt are split by their completion.
 *
 * @throws RangeError when the share is outside [0, 1) or leaves a side empty that should not be
 */
export function splitByPrompt<T extends { prompt: string | Message[]; completion?: unknown }>(
  rows: readonly T[],
  share: number,
  seed = 0,
): { train: T[]; held: T[] } {
  if (!(share >= 0 && share < 1))
    throw new RangeError(`split: the share held out is ${share}, expected one in [0, 1).`);
  const train: T[] = [];
  const held: T[] = [];
  for (const row of rows) {
    const text = promptText(row.prompt) || JSON.stringify(row.completion ?? "");
    (hashUniform(seed, text) < share ? held : train).push(row);
  }
  if (train.length === 0)
    throw new RangeError(`split: holding out ${share} of ${rows.length} rows leaves none to train on.`);
  if (share > 0 && held.length === 0)
    throw new RangeError(
      `split: holding out ${share} of ${rows.length} rows holds out none; give more rows or a larger share.`,
    );
  return { train, held };
}

/** Identifies a tokenised dataset: every field of every row, token lists, numbers and texts, in order. */
export function datasetFingerprint(rows: Iterable<object>): string {
  function* parts() {
    for (const row of rows)
      for (const [name, value] of Object.entries(
        row as Record<string, number | string | ArrayLike<number>>,
      ).sort()) {
        yield name;
        if (typeof value === "object") yield* Array.from(value);
        else yield value;
      }
  }
  return hash53(0, parts()).toString(16).padStart(14, "0");
}
