/** Numbers with a shape, as array files hold them. */
export interface NumberArray {
  shape: number[];
  kind: "bytes" | "integers" | "floats";
  /** In row order. */
  values: Uint8Array | Float64Array;
}
