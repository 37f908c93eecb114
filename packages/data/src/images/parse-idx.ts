import { DataError } from "../row.ts";
import type { NumberArray } from "./number-array.ts";

/** By the type byte: size in bytes and how one number is read, big-endian. */
const types: Record<number, { bytes: number; read(view: DataView, at: number): number }> = {
  8: { bytes: 1, read: (view, at) => view.getUint8(at) },
  9: { bytes: 1, read: (view, at) => view.getInt8(at) },
  11: { bytes: 2, read: (view, at) => view.getInt16(at) },
  12: { bytes: 4, read: (view, at) => view.getInt32(at) },
  13: { bytes: 4, read: (view, at) => view.getFloat32(at) },
  14: { bytes: 8, read: (view, at) => view.getFloat64(at) },
};

/** Whether a file begins as IDX does. */
export const isIdx = (file: Uint8Array): boolean =>
  file.length >= 4 && file[0] === 0 && file[1] === 0 && file[2]! in types && file[3]! >= 1 && file[3]! <= 8;

/**
 * An IDX file, the format of MNIST: two zero bytes, a type, the number of axes, their lengths as big-endian 32-bit numbers, the values.
 *
 * @param source named in messages
 * @throws DataError unless the file is exactly as long as its header says
 */
export function parseIdx(file: Uint8Array, source: string): NumberArray {
  if (!isIdx(file)) throw new DataError(`${source}: no IDX file.`);
  const [type, rank] = [types[file[2]!]!, file[3]!];
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const begin = 4 + 4 * rank;
  if (file.length < begin) throw new DataError(`${source}: the IDX header is cut.`);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = shape.reduce((product, length) => product * length, 1);
  if (size * type.bytes !== file.length - begin)
    throw new DataError(
      `${source}: the header says [${shape}], ${size * type.bytes} bytes, and ${file.length - begin} follow; the file is cut or damaged.`,
    );
  if (file[2] === 8) return { shape, kind: "bytes", values: file.subarray(begin) };
  const values = new Float64Array(size);
  for (let i = 0; i < size; i++) values[i] = type.read(view, begin + i * type.bytes);
  return { shape, kind: file[2]! < 13 ? "integers" : "floats", values };
}
