/** How one type of ggml lays out its values: `block` values in `bytes` bytes. */
export interface TensorType {
  name: string;
  block: number;
  bytes: number;
}

/**
 * The tensor types that can be read, by their number in the file.
 *
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, sizes from ggml-common.h
 */
export const tensorTypes: ReadonlyMap<number, TensorType> = new Map(
  (
    [
      [0, "F32", 1, 4],
      [1, "F16", 1, 2],
      [2, "Q4_0", 32, 18],
      [3, "Q4_1", 32, 20],
      [6, "Q5_0", 32, 22],
      [7, "Q5_1", 32, 24],
      [8, "Q8_0", 32, 34],
      [10, "Q2_K", 256, 84],
      [11, "Q3_K", 256, 110],
      [12, "Q4_K", 256, 144],
      [13, "Q5_K", 256, 176],
      [14, "Q6_K", 256, 210],
      [15, "Q8_K", 256, 292],
      [30, "BF16", 1, 2],
    ] as const
  ).map(([id, name, block, bytes]) => [id, { name, block, bytes }]),
);

const unreadable: Record<number, string> = {
  9: "Q8_1",
  16: "IQ2_XXS",
  17: "IQ2_XS",
  18: "IQ3_XXS",
  19: "IQ1_S",
  20: "IQ4_NL",
  21: "IQ3_S",
  22: "IQ2_S",
  23: "IQ4_XS",
  24: "I8",
  25: "I16",
  26: "I32",
  27: "I64",
  28: "F64",
  29: "IQ1_M",
  34: "TQ1_0",
  35: "TQ2_0",
  39: "MXFP4",
};

/** What an error calls a type's number. */
export function tensorTypeName(id: number): string {
  return tensorTypes.get(id)?.name ?? unreadable[id] ?? `number ${id}`;
}
