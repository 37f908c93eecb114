import * as tf from "@tensorflow/tfjs-core";
import type { Examples } from "./distill-data.ts";

/** Runs f over examples in pieces and joins the rows that it gives. */
export function inPieces(
  { values, count }: Pick<Examples, "values" | "count">,
  shape: readonly number[],
  f: (x: tf.Tensor, from: number) => tf.Tensor,
  piece = 250,
): Float32Array {
  const size = shape.reduce((product, n) => product * n, 1);
  const parts: Float32Array[] = [];
  for (let from = 0; from < count; from += piece) {
    const rows = Math.min(piece, count - from);
    const out = tf.tidy(() =>
      f(tf.tensor(values.subarray(from * size, (from + rows) * size), [rows, ...shape]), from),
    );
    parts.push(Float32Array.from(out.dataSync()));
    out.dispose();
  }
  const joined = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
