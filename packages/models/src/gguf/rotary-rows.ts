/**
 * Rotary embeddings turn pairs of a head's dimensions. Hugging Face pairs dimension i with i + headSize/2; llama.cpp (for its "llama" architecture) and llama2.c
 * pair 2i with 2i + 1. The same model therefore has its query and key rows in another order in each.
 */
function reorder(
  values: Float32Array,
  heads: number,
  rows: number,
  row: (head: number, pair: number, half: number, headSize: number) => [from: number, to: number],
): Float32Array {
  const headSize = rows / heads;
  const width = values.length / rows;
  if (!Number.isInteger(headSize / 2) || !Number.isInteger(width))
    throw new Error(`${rows} rows can't be ${heads} heads of an even size`);
  const out = new Float32Array(values.length);
  for (let head = 0; head < heads; head++)
    for (let pair = 0; pair < headSize / 2; pair++)
      for (let half = 0; half < 2; half++) {
        const [from, to] = row(head, pair, half, headSize);
        out.set(values.subarray(from * width, (from + 1) * width), to * width);
      }
  return out;
}

/** Rows of a query or key projection (or its bias) from interleaved pairs to Hugging Face's halves. */
export function interleavedToHalves(values: Float32Array, heads: number, rows: number): Float32Array {
  return reorder(values, heads, rows, (head, pair, half, size) => [
    head * size + 2 * pair + half,
    head * size + half * (size / 2) + pair,
  ]);
}

/** Rows of a query or key projection (or its bias) from Hugging Face's halves to interleaved pairs. */
export function halvesToInterleaved(values: Float32Array, heads: number, rows: number): Float32Array {
  return reorder(values, heads, rows, (head, pair, half, size) => [
    head * size + half * (size / 2) + pair,
    head * size + 2 * pair + half,
  ]);
}

/** The transpose of a matrix of `rows` rows. */
export function transpose(values: Float32Array, rows: number): Float32Array {
  const columns = values.length / rows;
  const out = new Float32Array(values.length);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) out[j * rows + i] = values[i * columns + j]!;
  return out;
}
