/**
 * A 53-bit hash of texts and numbers, for splits and fingerprints; the same everywhere, of no use against an adversary
 * (two 32-bit FNV-1a streams with a final mix).
 */
export function hash53(seed: number, parts: Iterable<string | number>): number {
  let a = (0x811c9dc5 ^ seed) >>> 0;
  let b = (0xc2b2ae35 ^ Math.imul(seed + 1, 0x9e3779b1)) >>> 0;
  const feed = (word: number): void => {
    a = Math.imul(a ^ word, 0x01000193) >>> 0;
    b = Math.imul(b ^ word, 0x85ebca6b) >>> 0;
    b = (b ^ (b >>> 15)) >>> 0;
  };
  for (const part of parts) {
    if (typeof part === "number") feed(part | 0);
    else for (let i = 0; i < part.length; i++) feed(part.charCodeAt(i));
    feed(0x10ffff);
  }
  a = Math.imul(a ^ (a >>> 16), 0x7feb352d) >>> 0;
  b = Math.imul(b ^ (b >>> 15), 0x846ca68b) >>> 0;
  return ((a ^ (a >>> 15)) >>> 0) * 2 ** 21 + ((b ^ (b >>> 16)) >>> 11);
}

/** A uniform number in [0, 1) that depends on nothing but its arguments. */
export const hashUniform = (seed: number, ...parts: (string | number)[]): number =>
  hash53(seed, parts) / 2 ** 53;
