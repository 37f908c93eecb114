import type { ByteSource } from "./byte-source.ts";
import { type TensorType, tensorTypeName, tensorTypes } from "./tensor-types.ts";

export type GgufValue = number | bigint | boolean | string | GgufArray;
/** Numeric arrays are typed arrays, apart from 64-bit integers, which become numbers where they are exact. */
export type GgufArray =
  | GgufValue[]
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Uint8Array
  | Int8Array;

export interface GgufTensor {
  name: string;
  /** Outermost dimension first, as Hugging Face has it: the reverse of the file's order. */
  shape: number[];
  type: TensorType;
  /** From the start of the file. */
  offset: number;
  bytes: number;
}

export interface GgufHeader {
  version: number;
  metadata: Map<string, GgufValue>;
  tensors: Map<string, GgufTensor>;
}

/** Thrown inside when the part of the header in memory ends; never leaves `readGgufHeader`. */
const incomplete = new Error("header goes on");
const firstWindow = 1 << 20;
const largestHeader = 1 << 29;
const deepestArray = 4;
const smallestPair = 4 + 1 + 4;
const smallestTensor = 4 + 4 + 4 + 8;
const scalarBytes: Record<number, number> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};

/**
 * Reads the header of a GGUF file of version 1, 2 or 3: its metadata, and where each tensor lies.
 *
 * Every count and length is held against the bytes that the file has left before anything is allocated.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 *
 * @throws Error naming the file and the byte where it stops making sense.
 */
export async function readGgufHeader(source: ByteSource): Promise<GgufHeader> {
  for (let window = Math.min(source.size, firstWindow); ; window = Math.min(source.size, window * 4)) {
    const bytes = await source.read(0, window);
    try {
      return parse(bytes, source);
    } catch (error) {
      if (error !== incomplete) throw error;
      if (window >= source.size)
        throw new Error(`${source.name}: the GGUF header is truncated at byte ${source.size}`);
      if (window >= largestHeader)
        throw new Error(`${source.name}: the GGUF header is longer than ${largestHeader} bytes`);
    }
  }
}

function parse(bytes: Uint8Array, { name, size }: ByteSource): GgufHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const fail = (what: string): never => {
    throw new Error(`${name}: not a readable GGUF file: ${what} (at byte ${at})`);
  };
  const take = (count: number): number => {
    if (at + count > size) fail(`${count} bytes are announced and ${size - at} are left`);
    if (at + count > bytes.byteLength) throw incomplete;
    at += count;
    return at - count;
  };
  const u32 = () => view.getUint32(take(4), true);
  const u64 = (what: string): number => {
    const value = view.getBigUint64(take(8), true);
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? fail(`${what} is ${value}`) : Number(value);
  };

  if (size < 4 || String.fromCharCode(...bytes.subarray(0, 4)) !== "GGUF")
    fail("it does not start with the letters GGUF");
  at = 4;
  const version = u32();
  if (version === 0x01000000 || version === 0x02000000 || version === 0x03000000)
    fail("it is big-endian; convert it to little-endian first");
  if (version < 1 || version > 3) fail(`version ${version} is not one of 1, 2, 3`);

  const count = (what: string, smallest: number): number => {
    const value = version === 1 ? u32() : u64(what);
    if (value * smallest > size - at)
      fail(`${what} is ${value}, for which the ${size - at} bytes left are too few`);
    return value;
  };
  const utf8 = new TextDecoder();
  const string = (what: string): string => {
    const length = count(`the length of ${what}`, 1);
    const start = take(length);
    return utf8.decode(bytes.subarray(start, start + length));
  };
  const scalar = (type: number): GgufValue => {
    const width = scalarBytes[type];
    if (width === undefined) return fail(`value type ${type} is unknown`);
    const start = take(width);
    if (type === 0) return view.getUint8(start);
    if (type === 1) return view.getInt8(start);
    if (type === 2) return view.getUint16(start, true);
    if (type === 3) return view.getInt16(start, true);
    if (type === 4) return view.getUint32(start, true);
    if (type === 5) return view.getInt32(start, true);
    if (type === 6) return view.getFloat32(start, true);
    if (type === 7) return view.getUint8(start) !== 0;
    if (type === 12) return view.getFloat64(start, true);
    const value = type === 10 ? view.getBigUint64(start, true) : view.getBigInt64(start, true);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  };
  const value = (type: number, key: string, depth: number): GgufValue => {
    if (type === 8) return string(`the value of ${key}`);
    if (type !== 9) return scalar(type);
    if (depth >= deepestArray) return fail(`${key} nests arrays more than ${deepestArray} deep`);
    const element = u32();
    const width = element === 8 || element === 9 ? 4 : scalarBytes[element];
    if (width === undefined) return fail(`${key} is an array of the unknown type ${element}`);
    const length = count(`the length of ${key}`, width);
    const typed = {
      0: Uint8Array,
      1: Int8Array,
      4: Uint32Array,
      5: Int32Array,
      6: Float32Array,
      12: Float64Array,
    }[element as 0];
    if (typed) {
      const start = take(length * width);
      // Buffer.slice would share memory, and at no particular alignment.
      const copy = new Uint8Array(bytes.subarray(start, start + length * width));
      return new typed(copy.buffer as ArrayBuffer, 0, length);
    }
    const values: GgufValue[] = [];
    for (let i = 0; i < length; i++) values.push(value(element, key, depth + 1));
    return values;
  };

  const tensorCount = count("the number of tensors", smallestTensor);
  const pairs = count("the number of metadata pairs", smallestPair);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < pairs; i++) {
    const key = string("a metadata key");
    if (metadata.has(key)) fail(`the metadata key ${key} is there twice`);
    metadata.set(key, value(u32(), key, 0));
  }
  const alignment = metadata.get("general.alignment") ?? 32;
  if (
    typeof alignment !== "number" ||
    alignment < 1 ||
    alignment > 1 << 20 ||
    (alignment & (alignment - 1)) !== 0
  )
    return fail(`general.alignment is ${String(alignment)}, not a power of two`);

  const tensors = new Map<string, GgufTensor>();
  for (let i = 0; i < tensorCount; i++) {
    const tensor = string("a tensor's name");
    if (tensors.has(tensor)) fail(`the tensor ${tensor} is there twice`);
    const rank = u32();
    if (rank > 4) fail(`the tensor ${tensor} has ${rank} dimensions`);
    const shape: number[] = [];
    for (let d = 0; d < rank; d++) shape.unshift(version === 1 ? u32() : u64(`a dimension of ${tensor}`));
    const id = u32();
    const type =
      tensorTypes.get(id) ??
      fail(`the tensor ${tensor} has the type ${tensorTypeName(id)}, which can't be read`);
    const offset = u64(`the offset of ${tensor}`);
    const values = shape.reduce((product, d) => product * d, 1);
    if (!Number.isSafeInteger(values)) fail(`the tensor ${tensor} has the impossible shape [${shape}]`);
    if ((shape.at(-1) ?? 1) % type.block !== 0)
      fail(
        `the tensor ${tensor} of shape [${shape}] has rows that are no multiple of ${type.name}'s ${type.block}`,
      );
    if (offset % alignment !== 0) fail(`the offset ${offset} of ${tensor} is no multiple of ${alignment}`);
    tensors.set(tensor, { name: tensor, shape, type, offset, bytes: (values / type.block) * type.bytes });
  }
  const data = Math.ceil(at / alignment) * alignment;
  for (const tensor of tensors.values()) {
    tensor.offset += data;
    if (tensor.offset + tensor.bytes > size)
      throw new Error(
        `${name}: the tensor ${tensor.name} ends at byte ${tensor.offset + tensor.bytes}, ` +
          `and the file has ${size}; is it truncated?`,
      );
  }
  return { version, metadata, tensors };
}
