import { type EncoderBatch, encoderBatch } from "../encoders/encoder-batch.ts";
import type { T5Config } from "./t5-config.ts";

/** An input and the outputs to score after it, such as the answers of a task; the input is read once. */
export interface T5Item {
  /** Token ids, the end-of-sequence token included as T5 was trained. */
  input: ArrayLike<number>;
  outputs: ArrayLike<number>[];
}

/** Inputs and outputs as two rectangles, padded on the right. */
export interface T5Batch {
  inputs: EncoderBatch;
  outputs: {
    rows: number;
    length: number;
    /** [rows × length]: what the decoder reads, the start token and then all but the last. */
    ids: Int32Array;
    /** [rows]: which input each output belongs to. */
    input: Int32Array;
  };
  scored: {
    /** Flat index row × length + t of the decoder's state that predicts. */
    state: Int32Array;
    /** The token predicted. */
    target: Int32Array;
    /** Which output the token belongs to. */
    sequence: Int32Array;
  };
  /** How many outputs there are. */
  sequences: number;
}

/** Lays inputs and outputs out; every token of an output is scored. @throws when an input or output has no token. */
export function t5Batch(
  items: readonly T5Item[],
  { startId, padId }: Pick<T5Config, "startId" | "padId">,
): T5Batch {
  const inputs = encoderBatch(
    items.map(({ input }) => ({ ids: input })),
    padId,
  );
  const outputs = items.flatMap(({ outputs }, row) => outputs.map((ids) => ({ ids, row })));
  const rows = outputs.length;
  const length = outputs.reduce((most, { ids }) => Math.max(most, ids.length), 0);
  const ids = new Int32Array(rows * length).fill(padId);
  const state: number[] = [];
  const target: number[] = [];
  const sequence: number[] = [];
  outputs.forEach((output, row) => {
    if (output.ids.length === 0) throw new Error(`t5Batch: output ${row} has no token.`);
    ids[row * length] = startId;
    for (let t = 0; t < output.ids.length; t++) {
      if (t + 1 < output.ids.length) ids[row * length + t + 1] = output.ids[t]!;
      state.push(row * length + t);
      target.push(output.ids[t]!);
      sequence.push(row);
    }
  });
  return {
    inputs,
    outputs: { rows, length, ids, input: Int32Array.from(outputs, ({ row }) => row) },
    scored: {
      state: Int32Array.from(state),
      target: Int32Array.from(target),
      sequence: Int32Array.from(sequence),
    },
    sequences: rows,
  };
}
