/** Watches for likelihood displacement: the chosen completions themselves becoming less probable while margins grow. */
export interface DisplacementAlarm {
  /** Takes the chosen side's mean log-probability; true once it has stayed low for `patience` readings in a row. */
  note(chosenLogProb: number): boolean;
  readonly raised: boolean;
  state(): DisplacementState;
  load(state: DisplacementState): void;
}

export interface DisplacementState {
  start?: number;
  low: number;
}

/**
 * An alarm that compares each reading with the first.
 *
 * @param drop nats a completion may lose before a reading counts as low; default 5
 * @param patience low readings in a row that raise it; default 3
 */
export function displacementAlarm({ drop = 5, patience = 3 } = {}): DisplacementAlarm {
  let state: DisplacementState = { low: 0 };
  return {
    note(chosenLogProb) {
      state.start ??= chosenLogProb;
      state.low = chosenLogProb < state.start - drop ? state.low + 1 : 0;
      return state.low >= patience;
    },
    get raised() {
      return state.low >= patience;
    },
    state: () => ({ ...state }),
    load(saved) {
      state = { ...saved };
    },
  };
}
