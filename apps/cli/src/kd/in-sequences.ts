import { gatherRows } from "@fdiv/tensor-core";
import * as tf from "@tensorflow/tfjs-core";

/** Rows [points, V] as padded sequences [sequences, L, V], with a 0/1 mask [sequences, L] of what is there. */
export function inSequences(
  rows: tf.Tensor2D,
  sequence: Int32Array,
  sequences: number,
): { padded: tf.Tensor3D; mask: tf.Tensor2D } {
  const lengths = new Int32Array(sequences);
  for (const id of sequence) lengths[id]!++;
  const longest = Math.max(1, ...lengths);
  const from = new Int32Array(sequences * longest);
  const mask = new Float32Array(sequences * longest);
  const filled = new Int32Array(sequences);
  sequence.forEach((id, point) => {
    const at = id * longest + filled[id]!++;
    from[at] = point;
    mask[at] = 1;
  });
  const gathered = gatherRows(rows, tf.tensor1d(from, "int32"));
  return {
    padded: tf.reshape(gathered, [sequences, longest, rows.shape[1]]),
    mask: tf.tensor2d(mask, [sequences, longest]),
  };
}
