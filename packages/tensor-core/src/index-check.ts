import * as tf from "@tensorflow/tfjs-core";
import { checkType } from "./shape-check.ts";

/** Backends that read or write out of bounds without a word; their data is at hand, so looking costs a copy of the indices. */
const unchecked = new Set(["cpu", "wasm"]);

/**
 * Holds int32 indices against the axis they point into.
 *
 * TensorFlow checks them itself and a GPU clamps them; there, looking would only stall the queue.
 *
 * @throws when an index is outside [0, size), naming the op, the argument, the position and the index.
 */
export function checkIndices(op: string, argument: string, indices: tf.Tensor, size: number): void {
  checkType(op, argument, indices, "int32");
  if (!unchecked.has(tf.getBackend())) return;
  const values = indices.dataSync();
  for (let i = 0; i < values.length; i++) {
    const index = values[i]!;
    if (index >= 0 && index < size) continue;
    throw new Error(`${op}: ${argument}[${i}] is ${index}, expected an index in [0, ${size}).`);
  }
}
