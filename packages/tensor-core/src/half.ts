// Conversions between float32 and the two 16-bit formats, through bit patterns, on whole arrays.

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** float32 of every IEEE half-precision number, by its bits: a lookup is faster than arithmetic. */
let halves: Float32Array | undefined;

function halfTable(): Float32Array {
  if (halves) return halves;
  halves = new Float32Array(65536);
  for (let half = 0; half < 65536; half++) {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >>> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 31) halves[half] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else if (exponent === 0) halves[half] = sign * fraction * 2 ** -24;
    else halves[half] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return halves;
}

/** float32 of IEEE half-precision bits; exact. */
export function halfToFloat(from: Uint16Array): Float32Array {
  const table = halfTable();
  const to = new Float32Array(from.length);
  for (let i = 0; i < from.length; i++) to[i] = table[from[i]!]!;
  return to;
}

/** IEEE half-precision bits of float32, rounded to nearest, ties to even; too large becomes infinite. */
export function floatToHalf(from: Float32Array): Uint16Array {
  const to = new Uint16Array(from.length);
  for (let i = 0; i < from.length; i++) {
    float[0] = from[i]!;
    const word = bits[0]!;
    const sign = (word >>> 16) & 0x8000;
    const exponent = (word >>> 23) & 255;
    const fraction = word & 0x7fffff;
    if (exponent === 255) to[i] = sign | 0x7c00 | (fraction ? 0x200 : 0);
    else if (exponent > 142) to[i] = sign | 0x7c00;
    else if (exponent > 112) to[i] = sign | roundShift(((exponent - 112) << 23) | fraction, 13);
    else if (exponent > 101) to[i] = sign | roundShift(0x800000 | fraction, 126 - exponent);
    else to[i] = sign;
  }
  return to;
}

/** value / 2^shift, to nearest, ties to even; a carry runs into the exponent as it should. */
function roundShift(value: number, shift: number): number {
  const floor = value >>> shift;
  const rest = value & ((1 << shift) - 1);
  const tie = 1 << (shift - 1);
  return rest > tie || (rest === tie && (floor & 1) === 1) ? floor + 1 : floor;
}

/** float32 of bfloat16 bits; exact. */
export function bfloat16ToFloat(from: Uint16Array): Float32Array {
  const words = new Uint32Array(from.length);
  for (let i = 0; i < from.length; i++) words[i] = from[i]! << 16;
  return new Float32Array(words.buffer);
}

/** bfloat16 bits of float32, rounded to nearest, ties to even; NaN stays NaN. */
export function floatToBfloat16(from: Float32Array): Uint16Array {
  const to = new Uint16Array(from.length);
  const words = new Uint32Array(from.buffer, from.byteOffset, from.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const notANumber = (word & 0x7fffffff) > 0x7f800000;
    to[i] = notANumber ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return to;
}
