import { floatToHalf } from "@fdiv/tensor-core";

/** A metadata value with the type it is written as. */
export type GgufEntry =
  | { type: "u32"; value: number }
  | { type: "f32"; value: number }
  | { type: "flag"; value: boolean }
  | { type: "text"; value: string }
  | { type: "texts"; value: string[] }
  | { type: "i32s"; value: ArrayLike<number> }
  | { type: "f32s"; value: ArrayLike<number> };

export type GgufFloat = "F32" | "F16";

/** A tensor to be written, its shape outermost dimension first. */
export interface GgufTensorPlan {
  name: string;
  shape: number[];
  type: GgufFloat;
}

export const alignment = 32;
const utf8 = new TextEncoder();
const floatTypes = { F32: { id: 0, bytes: 4 }, F16: { id: 1, bytes: 2 } };

/** How many bytes a tensor takes, without the padding after it. */
export function ggufBytes({ shape, type }: GgufTensorPlan): number {
  return shape.reduce((product, d) => product * d, floatTypes[type].bytes);
}

/** Zero bytes up to the next multiple of the alignment. */
export function ggufPadding(bytes: number): Uint8Array {
  return new Uint8Array((alignment - (bytes % alignment)) % alignment);
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

function text(value: string): Uint8Array[] {
  const bytes = utf8.encode(value);
  return [u64(bytes.length), bytes];
}

function numbers(values: ArrayLike<number>, kind: "i32s" | "f32s"): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (let i = 0; i < values.length; i++)
    if (kind === "i32s") view.setInt32(4 * i, values[i]!, true);
    else view.setFloat32(4 * i, values[i]!, true);
  return new Uint8Array(view.buffer);
}

function entry(item: GgufEntry): Uint8Array[] {
  if (item.type === "u32") return [u32(4), u32(item.value)];
  if (item.type === "f32") return [u32(6), numbers([item.value], "f32s")];
  if (item.type === "flag") return [u32(7), Uint8Array.of(item.value ? 1 : 0)];
  if (item.type === "text") return [u32(8), ...text(item.value)];
  if (item.type === "i32s" || item.type === "f32s")
    return [
      u32(9),
      u32(item.type === "i32s" ? 5 : 6),
      u64(item.value.length),
      numbers(item.value, item.type),
    ];
  if (item.type === "texts") return [u32(9), u32(8), u64(item.value.length), ...item.value.flatMap(text)];
  return item satisfies never;
}

/**
 * The header of a GGUF file of version 3, padded: the tensors' bytes follow in the given order, each padded.
 *
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
export function encodeGgufHeader(metadata: Map<string, GgufEntry>, tensors: GgufTensorPlan[]): Uint8Array {
  const parts = [utf8.encode("GGUF"), u32(3), u64(tensors.length), u64(metadata.size)];
  for (const [key, value] of metadata) parts.push(...text(key), ...entry(value));
  let offset = 0;
  for (const tensor of tensors) {
    parts.push(...text(tensor.name), u32(tensor.shape.length), ...tensor.shape.toReversed().map(u64));
    parts.push(u32(floatTypes[tensor.type].id), u64(offset));
    const bytes = ggufBytes(tensor);
    offset += bytes + ggufPadding(bytes).length;
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  parts.push(ggufPadding(length));
  const out = new Uint8Array(length + parts.at(-1)!.length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Values as the little-endian bytes of a tensor. */
export function encodeFloats(values: Float32Array, type: GgufFloat): Uint8Array {
  if (type === "F32") return numbers(values, "f32s");
  const halves = floatToHalf(values);
  return new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength);
}
