import { boxMuller } from "./box-muller.ts";

/** Where a generator stands; plain JSON. */
export interface RandomState {
  key: [number, number];
  /** Blocks of four numbers drawn. */
  counter: number;
  /** Numbers of the current block already used. */
  used: number;
}

/**
 * Counter-based random numbers: the n-th number of a stream is a function of the key and n, so the same everywhere, and a stream can be
 * forked, saved and continued without passing through what came before.
 */
export interface Random {
  /** Unsigned 32-bit integers. */
  uint32(count: number): Uint32Array;
  /** Uniform in [0, 1), multiples of 2⁻²⁴, each exact in float32. */
  uniform(count: number): Float32Array;
  /** Standard normal by Box–Muller, computed in float64 and the same to the last bit in every engine. */
  normal(count: number): Float32Array;
  /** One uniform in [0, 1) with 53 random bits. */
  next(): number;
  /** One integer in [0, max), without bias. */
  integer(max: number): number;
  /** A uniformly random order of 0 … count − 1 (Fisher–Yates). */
  permutation(count: number): Int32Array;
  /** An independent stream of the same seed, named by the label; forking does not advance this one. */
  fork(label: string | number): Random;
  state(): RandomState;
}

/**
 * Writes `count` blocks of four words from a block's number on; integers throughout and no array in between, since dropout draws a number
 * for every number of a layer.
 */
function writeBlocks(
  out: Uint32Array,
  first: readonly [number, number, number, number],
  count: number,
  key0: number,
  key1: number,
): void {
  const [from, upper, third, fourth] = first;
  for (let block = 0, at = 0; block < count; block++) {
    const index = from + block;
    let c0 = index | 0;
    let c1 = (upper + Math.floor(index / 2 ** 32)) | 0;
    let c2 = third | 0;
    let c3 = fourth | 0;
    let k0 = key0 | 0;
    let k1 = key1 | 0;
    for (let round = 0; round < 10; round++) {
      // The products by 0xd2511f53 and 0xcd9e8d57: their upper words by 16-bit halves, none of whose sums passes 2³².
      const a = c0 & 0xffff;
      const b = c0 >>> 16;
      const ab = (Math.imul(b, 0x1f53) + (Math.imul(a, 0x1f53) >>> 16)) | 0;
      const ba = (Math.imul(a, 0xd251) + (ab & 0xffff)) | 0;
      const high0 = (Math.imul(b, 0xd251) + (ab >>> 16) + (ba >>> 16)) | 0;
      const c = c2 & 0xffff;
      const d = c2 >>> 16;
      const cd = (Math.imul(d, 0x8d57) + (Math.imul(c, 0x8d57) >>> 16)) | 0;
      const dc = (Math.imul(c, 0xcd9e) + (cd & 0xffff)) | 0;
      const high1 = (Math.imul(d, 0xcd9e) + (cd >>> 16) + (dc >>> 16)) | 0;
      const low0 = Math.imul(c0, 0xd2511f53);
      const low1 = Math.imul(c2, 0xcd9e8d57);
      c0 = high1 ^ c1 ^ k0;
      c2 = high0 ^ c3 ^ k1;
      c1 = low1;
      c3 = low0;
      k0 = (k0 + 0x9e3779b9) | 0;
      k1 = (k1 + 0xbb67ae85) | 0;
    }
    out[at++] = c0;
    out[at++] = c1;
    out[at++] = c2;
    out[at++] = c3;
  }
}

/**
 * Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"): four words from a counter
 * of four and a key of two.
 */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  const words = new Uint32Array(4);
  writeBlocks(words, counter, 1, key[0], key[1]);
  return [words[0]!, words[1]!, words[2]!, words[3]!];
}

/** Mixes a label into a key: a number or a text, each another stream; numbers and their spelling differ. */
function forkKey(key: readonly [number, number], label: string | number): [number, number] {
  const words = [typeof label === "number" ? 1 : 2];
  if (typeof label === "number") {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, label);
    words.push(view.getUint32(0), view.getUint32(4));
  } else {
    const bytes = new TextEncoder().encode(label);
    words.push(bytes.length);
    for (let i = 0; i < bytes.length; i += 4)
      words.push(
        (bytes[i]! |
          ((bytes[i + 1] ?? 0) << 8) |
          ((bytes[i + 2] ?? 0) << 16) |
          ((bytes[i + 3] ?? 0) << 24)) >>>
          0,
      );
  }
  let [k0, k1] = key;
  for (let i = 0; i < words.length; i += 2) {
    // The last two words of the counter keep these blocks apart from those that numbers are drawn from.
    const mixed = philox([words[i]!, words[i + 1] ?? 0, i, 0xf0_4c], [k0, k1]);
    k0 = mixed[0];
    k1 = mixed[1];
  }
  return [k0, k1];
}

function checkCount(what: string, count: number): void {
  if (!Number.isSafeInteger(count) || count < 0)
    throw new RangeError(`random.${what}: ${count} is no count of numbers.`);
}

function generator(key: [number, number], start = 0, startUsed = 4): Random {
  let counter = start;
  let used = startUsed;
  const block = new Uint32Array(4);
  const write = (out: Uint32Array, index: number, blocks: number) =>
    writeBlocks(out, [index, 0, 0, 0], blocks, key[0], key[1]);
  if (used < 4) write(block, counter - 1, 1);
  const word = (): number => {
    if (used === 4) {
      write(block, counter++, 1);
      used = 0;
    }
    return block[used++]!;
  };
  const next = (): number => {
    const high = word() >>> 5;
    return (high * 0x4000000 + (word() >>> 6)) / 2 ** 53;
  };
  const integer = (max: number): number => {
    if (!Number.isSafeInteger(max) || max < 1 || max > 2 ** 32)
      throw new RangeError(`random.integer: max is ${max}, expected an integer in [1, 2³²].`);
    // Words of the incomplete last run of `max` would favour small numbers.
    const fair = 2 ** 32 - (2 ** 32 % max);
    for (;;) {
      const drawn = word();
      if (drawn < fair) return drawn % max;
    }
  };
  return {
    uint32(count) {
      checkCount("uint32", count);
      const out = new Uint32Array(count);
      let at = 0;
      while (at < count && used < 4) out[at++] = word();
      const blocks = (count - at) >>> 2;
      if (blocks > 0) {
        write(out.subarray(at), counter, blocks);
        counter += blocks;
        at += 4 * blocks;
      }
      while (at < count) out[at++] = word();
      return out;
    },
    uniform(count) {
      checkCount("uniform", count);
      const out = new Float32Array(count);
      for (let i = 0; i < count; i++) out[i] = (word() >>> 8) / 2 ** 24;
      return out;
    },
    normal(count) {
      checkCount("normal", count);
      const out = new Float32Array(count);
      for (let i = 0; i < count; i += 2) {
        const [one, other] = boxMuller(next(), next());
        out[i] = one;
        if (i + 1 < count) out[i + 1] = other;
      }
      return out;
    },
    next,
    integer,
    permutation(count) {
      checkCount("permutation", count);
      const order = Int32Array.from({ length: count }, (_, i) => i);
      for (let i = count - 1; i > 0; i--) {
        const j = integer(i + 1);
        [order[i], order[j]] = [order[j]!, order[i]!];
      }
      return order;
    },
    fork: (label) => generator(forkKey(key, label)),
    state: () => ({ key: [...key], counter, used }),
  };
}

/**
 * A generator of counter-based random numbers; the same seed gives the same numbers on every machine and backend.
 *
 * @param seed an integer or a text
 * @throws RangeError when a number is no safe integer
 */
export function random(seed: number | string): Random {
  if (typeof seed === "number" && !Number.isSafeInteger(seed))
    throw new RangeError(`random: the seed is ${seed}, expected an integer or a text.`);
  return generator(forkKey([0, 0], seed));
}

/** Continues a generator from its saved state. */
export function restoreRandom(state: RandomState): Random {
  return generator([...state.key], state.counter, state.used);
}
