import { bfloat16ToFloat, halfToFloat } from "@fdiv/tensor-core";
import {
  dequantizeQ2K,
  dequantizeQ3K,
  dequantizeQ4K,
  dequantizeQ5K,
  dequantizeQ6K,
  dequantizeQ8K,
} from "./k-quants.ts";

/** Turns the bytes of one block, from `at` on, into `y[to …]`. */
export type BlockDequantizer = (bytes: DataView, at: number, y: Float32Array, to: number) => void;

let halves: Float32Array | undefined;

/** The half-precision number at byte `at`, looked up: every block has one or two. */
export function half(bytes: DataView, at: number): number {
  halves ??= halfToFloat(Uint16Array.from({ length: 65536 }, (_, bits) => bits));
  return halves[bytes.getUint16(at, true)]!;
}

/** Formats without blocks, from a copy that begins where its numbers may lie. */
const plain: Record<string, (buffer: ArrayBuffer) => Float32Array> = {
  F32: (buffer) => new Float32Array(buffer),
  F16: (buffer) => halfToFloat(new Uint16Array(buffer)),
  BF16: (buffer) => bfloat16ToFloat(new Uint16Array(buffer)),
};

function nibbles(
  bytes: DataView,
  at: number,
  y: Float32Array,
  to: number,
  scale: number,
  offset: number,
): void {
  for (let j = 0; j < 16; j++) {
    const q = bytes.getUint8(at + j);
    y[to + j] = (q & 15) * scale + offset;
    y[to + j + 16] = (q >> 4) * scale + offset;
  }
}

function nibblesAndHighBits(
  bytes: DataView,
  at: number,
  y: Float32Array,
  to: number,
  scale: number,
  offset: number,
): void {
  const high = bytes.getUint32(at, true);
  for (let j = 0; j < 16; j++) {
    const q = bytes.getUint8(at + 4 + j);
    y[to + j] = ((q & 15) | (((high >>> j) & 1) << 4)) * scale + offset;
    y[to + j + 16] = ((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) * scale + offset;
  }
}

const blocks: Record<string, BlockDequantizer> = {
  Q4_0: (b, at, y, to) => nibbles(b, at + 2, y, to, half(b, at), -8 * half(b, at)),
  Q4_1: (b, at, y, to) => nibbles(b, at + 4, y, to, half(b, at), half(b, at + 2)),
  Q5_0: (b, at, y, to) => nibblesAndHighBits(b, at + 2, y, to, half(b, at), -16 * half(b, at)),
  Q5_1: (b, at, y, to) => nibblesAndHighBits(b, at + 4, y, to, half(b, at), half(b, at + 2)),
  Q8_0: (b, at, y, to) => {
    const d = half(b, at);
    for (let j = 0; j < 32; j++) y[to + j] = d * b.getInt8(at + 2 + j);
  },
  Q2_K: dequantizeQ2K,
  Q3_K: dequantizeQ3K,
  Q4_K: dequantizeQ4K,
  Q5_K: dequantizeQ5K,
  Q6_K: dequantizeQ6K,
  Q8_K: dequantizeQ8K,
};

/**
 * The float32 values of a tensor's bytes, which hold whole blocks of `type`.
 *
 * Block layouts: ggml-common.h and ggml-quants.c of https://github.com/ggml-org/ggml.
 */
export function dequantize(
  bytes: Uint8Array,
  type: { name: string; block: number; bytes: number },
): Float32Array {
  const count = bytes.byteLength / type.bytes;
  if (!Number.isInteger(count))
    throw new Error(`${bytes.byteLength} bytes are no whole number of ${type.name} blocks of ${type.bytes}`);
  const whole = plain[type.name];
  if (whole) return whole(Uint8Array.from(bytes).buffer);
  const block = blocks[type.name];
  if (!block) throw new Error(`the tensor type ${type.name} can't be read`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const y = new Float32Array(count * type.block);
  for (let i = 0; i < count; i++) block(view, i * type.bytes, y, i * type.block);
  return y;
}
