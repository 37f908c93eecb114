import { bfloat16ToFloat, floatToBfloat16, floatToHalf, halfToFloat } from "./half.ts";
import {
  elementBytes,
  encodeHeader,
  headerLength,
  parseHeader,
  type SafetensorsDtype,
  type SafetensorsEntry,
  SafetensorsError,
} from "./safetensors-header.ts";

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** A tensor to write: float32 values are narrowed to F16 or BF16 when that is the type; else the array must be of the type. */
export interface TensorToWrite {
  name: string;
  dtype: SafetensorsDtype;
  shape: readonly number[];
  data: TensorData | (() => Promise<TensorData> | TensorData);
}

const views = {
  BOOL: Uint8Array,
  U8: Uint8Array,
  I8: Int8Array,
  F8_E4M3: Uint8Array,
  F8_E5M2: Uint8Array,
  U16: Uint16Array,
  I16: Int16Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  U32: Uint32Array,
  I32: Int32Array,
  F32: Float32Array,
  U64: BigUint64Array,
  I64: BigInt64Array,
  F64: Float64Array,
} as const;

/** The raw elements of a tensor's bytes; F16 and BF16 as their 16-bit patterns. */
export function elementsOf(bytes: Uint8Array, dtype: SafetensorsDtype): TensorData {
  const aligned = bytes.byteOffset % elementBytes[dtype] === 0 ? bytes : bytes.slice();
  return new views[dtype](
    aligned.buffer as ArrayBuffer,
    aligned.byteOffset,
    aligned.byteLength / elementBytes[dtype],
  );
}

/**
 * A tensor's elements as float32; F16 and BF16 widened, other numbers converted.
 *
 * @throws SafetensorsError for the 8-bit float types
 */
export function float32Of(bytes: Uint8Array, dtype: SafetensorsDtype, name: string): Float32Array {
  const elements = elementsOf(bytes, dtype);
  if (elements instanceof Float32Array) return elements;
  if (dtype === "F16") return halfToFloat(elements as Uint16Array);
  if (dtype === "BF16") return bfloat16ToFloat(elements as Uint16Array);
  if (dtype.startsWith("F8"))
    throw new SafetensorsError(`tensor "${name}": type ${dtype} can't be read as float32.`);
  return Float32Array.from(elements as ArrayLike<number | bigint>, Number);
}

/** The bytes to write of a tensor; checks type and size. */
export function bytesOf({ name, dtype, shape }: Omit<TensorToWrite, "data">, data: TensorData): Uint8Array {
  let elements = data;
  if (data instanceof Float32Array && dtype === "F16") elements = floatToHalf(data);
  if (data instanceof Float32Array && dtype === "BF16") elements = floatToBfloat16(data);
  const count = shape.reduce((product, size) => product * size, 1);
  if (!(elements instanceof views[dtype]) || elements.length !== count)
    throw new SafetensorsError(
      `tensor "${name}": ${dtype} [${shape}] needs ${count} elements in a ${views[dtype].name}, not ${data.length} in a ${data.constructor.name}.`,
    );
  return new Uint8Array(elements.buffer as ArrayBuffer, elements.byteOffset, elements.byteLength);
}

export interface ParsedSafetensors {
  metadata: Record<string, string>;
  tensors: Map<string, SafetensorsEntry & { bytes: Uint8Array }>;
  readFloat32(name: string): Float32Array;
}

/**
 * Reads a whole safetensors file from memory, without copying.
 *
 * @throws SafetensorsError on anything malformed, cut or hostile
 */
export function parseSafetensors(file: Uint8Array, source = "safetensors"): ParsedSafetensors {
  const length = headerLength(file, file.length, source);
  const { metadata, tensors } = parseHeader(file.subarray(8, 8 + length), file.length, source);
  const withBytes = new Map(
    [...tensors].map(([name, entry]) => [
      name,
      { ...entry, bytes: file.subarray(entry.byteOffset, entry.byteOffset + entry.byteLength) },
    ]),
  );
  return {
    metadata,
    tensors: withBytes,
    readFloat32(name) {
      const entry = withBytes.get(name);
      if (!entry) throw new SafetensorsError(`${source} holds no tensor "${name}".`);
      return float32Of(entry.bytes, entry.dtype, name);
    },
  };
}

/** A whole safetensors file in memory. */
export async function encodeSafetensors(
  tensors: readonly TensorToWrite[],
  metadata?: Record<string, string>,
): Promise<Uint8Array> {
  const header = encodeHeader(tensors, metadata);
  const parts = [header];
  for (const tensor of tensors)
    parts.push(bytesOf(tensor, typeof tensor.data === "function" ? await tensor.data() : tensor.data));
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
