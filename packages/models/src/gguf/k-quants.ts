import { half } from "./dequantize.ts";

/** 84 bytes: 16 scale and minimum nibbles, 64 × four 2-bit values, d, dmin. */
export function dequantizeQ2K(b: DataView, at: number, y: Float32Array, to: number): void {
  const d = half(b, at + 80);
  const dmin = half(b, at + 82);
  for (let group = 0; group < 16; group++) {
    const scale = b.getUint8(at + group);
    const dl = d * (scale & 15);
    const ml = dmin * (scale >> 4);
    const q = at + 16 + 32 * (group >> 3) + 16 * (group & 1);
    const shift = 2 * ((group & 7) >> 1);
    for (let l = 0; l < 16; l++) y[to + 16 * group + l] = dl * ((b.getUint8(q + l) >> shift) & 3) - ml;
  }
}

/** 110 bytes: 32 of high bits, 64 × four 2-bit values, 12 of packed 6-bit scales, d. */
export function dequantizeQ3K(b: DataView, at: number, y: Float32Array, to: number): void {
  const d = half(b, at + 108);
  for (let group = 0; group < 16; group++) {
    const packed = b.getUint8(at + 96 + (group & 7));
    const low = group < 8 ? packed & 15 : packed >> 4;
    const high = (b.getUint8(at + 104 + (group & 3)) >> (2 * (group >> 2))) & 3;
    const dl = d * ((low | (high << 4)) - 32);
    const q = at + 32 + 32 * (group >> 3) + 16 * (group & 1);
    const mask = at + 16 * (group & 1);
    const shift = 2 * ((group & 7) >> 1);
    const bit = 1 << (group >> 1);
    for (let l = 0; l < 16; l++)
      y[to + 16 * group + l] =
        dl * (((b.getUint8(q + l) >> shift) & 3) - (b.getUint8(mask + l) & bit ? 0 : 4));
  }
}

/** The 6-bit scale and minimum of one of eight groups, packed into 12 bytes from `at` on. */
function scaleAndMinimum(b: DataView, at: number, group: number): [number, number] {
  if (group < 4) return [b.getUint8(at + group) & 63, b.getUint8(at + group + 4) & 63];
  const low = b.getUint8(at + group + 4);
  return [
    (low & 15) | ((b.getUint8(at + group - 4) >> 6) << 4),
    (low >> 4) | ((b.getUint8(at + group) >> 6) << 4),
  ];
}

/** 144 bytes: d, dmin, 12 of packed scales and minima, 128 × two 4-bit values. */
export function dequantizeQ4K(b: DataView, at: number, y: Float32Array, to: number): void {
  const d = half(b, at);
  const dmin = half(b, at + 2);
  for (let group = 0; group < 8; group++) {
    const [scale, minimum] = scaleAndMinimum(b, at + 4, group);
    const q = at + 16 + 32 * (group >> 1);
    const shift = 4 * (group & 1);
    for (let l = 0; l < 32; l++)
      y[to + 32 * group + l] = d * scale * ((b.getUint8(q + l) >> shift) & 15) - dmin * minimum;
  }
}

/** 176 bytes: d, dmin, 12 of packed scales and minima, 32 of high bits, 128 × two 4-bit values. */
export function dequantizeQ5K(b: DataView, at: number, y: Float32Array, to: number): void {
  const d = half(b, at);
  const dmin = half(b, at + 2);
  for (let group = 0; group < 8; group++) {
    const [scale, minimum] = scaleAndMinimum(b, at + 4, group);
    const q = at + 48 + 32 * (group >> 1);
    const shift = 4 * (group & 1);
    for (let l = 0; l < 32; l++) {
      const high = (b.getUint8(at + 16 + l) >> group) & 1;
      y[to + 32 * group + l] =
        d * scale * (((b.getUint8(q + l) >> shift) & 15) | (high << 4)) - dmin * minimum;
    }
  }
}

/** 210 bytes: 128 of low nibbles, 64 of high bit pairs, 16 signed scales, d. */
export function dequantizeQ6K(b: DataView, at: number, y: Float32Array, to: number): void {
  const d = half(b, at + 208);
  for (let group = 0; group < 8; group++) {
    const part = group >> 2;
    const quarter = group & 3;
    const low = at + 64 * part + 32 * (quarter & 1);
    const high = at + 128 + 32 * part;
    for (let l = 0; l < 32; l++) {
      const nibble = (b.getUint8(low + l) >> (4 * (quarter >> 1))) & 15;
      const pair = (b.getUint8(high + l) >> (2 * quarter)) & 3;
      const scale = b.getInt8(at + 192 + 2 * group + (l >> 4));
      y[to + 32 * group + l] = d * scale * ((nibble | (pair << 4)) - 32);
    }
  }
}

/** 292 bytes: d as float32, 256 signed bytes, 16 sums that only multiplication needs. */
export function dequantizeQ8K(b: DataView, at: number, y: Float32Array, to: number): void {
  const d = b.getFloat32(at, true);
  for (let j = 0; j < 256; j++) y[to + j] = d * b.getInt8(at + 4 + j);
}
