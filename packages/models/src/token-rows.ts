/** The one batch format: a padded rectangle of tokens, who sees whom, and which tokens are scored. */
export interface TokenRows {
  rows: number;
  length: number;
  /** [rows × length], padded on the right. */
  ids: Int32Array;
  /** [rows × length]; restart after the prompt for each completion. */
  positions: Int32Array;
  /** [rows × 3]: offset, prefixEnd, branchStart. */
  layout: Int32Array;
  scored: {
    /** Flat index row × length + t of the hidden state that predicts. */
    state: Int32Array;
    /** The token predicted. */
    target: Int32Array;
    /** Which sequence the token belongs to. */
    sequence: Int32Array;
  };
  /** How many sequences `scored.sequence` counts. */
  sequences: number;
}

/** The `branchStart` of a row without a second branch. */
export const noBranch = 2 ** 31 - 1;

/** A prompt with its completions, all in one row; every completion's tokens are scored. */
export interface SharedPrompt {
  prompt: ArrayLike<number>;
  /** One or two. */
  completions: ArrayLike<number>[];
}

/**
 * Lays prompts and completions out in rows, each prompt once; sequences are numbered in order of appearance.
 *
 * A completion after an empty prompt is scored from its second token on, for nothing predicts its first.
 *
 * @throws when a row has no completion or more than two, or no token.
 */
export function tokenRows(items: SharedPrompt[], padId = 0): TokenRows {
  const widths = items.map(({ prompt, completions }) =>
    completions.reduce((sum, completion) => sum + completion.length, prompt.length),
  );
  const rows = items.length;
  const length = Math.max(0, ...widths);
  const ids = new Int32Array(rows * length).fill(padId);
  const positions = new Int32Array(rows * length);
  const layout = new Int32Array(rows * 3);
  const state: number[] = [];
  const target: number[] = [];
  const sequence: number[] = [];
  let sequences = 0;
  items.forEach(({ prompt, completions }, row) => {
    if (completions.length < 1 || completions.length > 2 || widths[row] === 0)
      throw new Error(
        `tokenRows: row ${row} has ${completions.length} completions and ${widths[row]} tokens; it needs one or two completions and a token.`,
      );
    const start = row * length;
    const place = (tokens: ArrayLike<number>, at: number, position: number) => {
      for (let t = 0; t < tokens.length; t++) {
        ids[start + at + t] = tokens[t]!;
        positions[start + at + t] = position + t;
      }
    };
    place(prompt, 0, 0);
    let at = prompt.length;
    for (const completion of completions) {
      place(completion, at, prompt.length);
      for (let t = 0; t < completion.length; t++) {
        const predictor = t > 0 ? at + t - 1 : prompt.length - 1;
        if (predictor < 0) continue;
        state.push(start + predictor);
        target.push(completion[t]!);
        sequence.push(sequences);
      }
      at += completion.length;
      sequences++;
    }
    const branch = completions.length === 2 ? prompt.length + completions[0]!.length : noBranch;
    layout.set([0, prompt.length, branch], 3 * row);
  });
  const scored = {
    state: Int32Array.from(state),
    target: Int32Array.from(target),
    sequence: Int32Array.from(sequence),
  };
  return { rows, length, ids, positions, layout, scored, sequences };
}
