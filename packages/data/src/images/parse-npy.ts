import { DataError } from "../row.ts";
import type { NumberArray } from "./number-array.ts";

const readers: Record<string, { bytes: number; read(view: DataView, at: number, little: boolean): number }> =
  {
    b1: { bytes: 1, read: (view, at) => view.getUint8(at) },
    u1: { bytes: 1, read: (view, at) => view.getUint8(at) },
    i1: { bytes: 1, read: (view, at) => view.getInt8(at) },
    u2: { bytes: 2, read: (view, at, little) => view.getUint16(at, little) },
    i2: { bytes: 2, read: (view, at, little) => view.getInt16(at, little) },
    u4: { bytes: 4, read: (view, at, little) => view.getUint32(at, little) },
    i4: { bytes: 4, read: (view, at, little) => view.getInt32(at, little) },
    i8: { bytes: 8, read: (view, at, little) => Number(view.getBigInt64(at, little)) },
    u8: { bytes: 8, read: (view, at, little) => Number(view.getBigUint64(at, little)) },
    f4: { bytes: 4, read: (view, at, little) => view.getFloat32(at, little) },
    f8: { bytes: 8, read: (view, at, little) => view.getFloat64(at, little) },
  };

const magic = "\u0093NUMPY";

/** Whether a file begins as NumPy's do. */
export const isNpy = (file: Uint8Array): boolean =>
  file.length >= 10 && String.fromCharCode(...file.subarray(0, 6)) === magic;

/** The header's text and where the values begin. */
function headerOf(file: Uint8Array, source: string): { header: string; begin: number } {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const wide = file[6]! >= 2;
  const start = wide ? 12 : 10;
  const length = file.length >= start ? (wide ? view.getUint32(8, true) : view.getUint16(8, true)) : 0;
  if (length > 1 << 16 || start + length > file.length)
    throw new DataError(`${source}: the .npy header is cut or longer than any.`);
  return {
    header: String.fromCharCode(...file.subarray(start, start + length)),
    begin: start + length,
  };
}

/**
 * A NumPy .npy file of booleans, integers or floats; the header is matched, never evaluated.
 *
 * @param source named in messages
 * @throws DataError on other types, Fortran order, or a length that the header does not say
 */
export function parseNpy(file: Uint8Array, source: string): NumberArray {
  if (!isNpy(file)) throw new DataError(`${source}: no .npy file.`);
  const { header, begin } = headerOf(file, source);
  const described = /'descr': '([<>|=])([a-z]\d)'/.exec(header);
  const shaped = /'shape': \(([\d, ]*)\)/.exec(header);
  const order = /'fortran_order': (True|False)/.exec(header);
  const type = described && Object.hasOwn(readers, described[2]!) ? readers[described[2]!]! : undefined;
  if (!described || !shaped || !order || !type)
    throw new DataError(
      `${source}: the header ${JSON.stringify(header.trim().slice(0, 120))} is not of booleans, integers or floats; save with numpy.save(file, array.astype("uint8")) or float32.`,
    );
  if (order[1] === "True")
    throw new DataError(`${source}: Fortran order; save numpy.ascontiguousarray(array).`);
  const shape = shaped[1]!
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean)
    .map(Number);
  const size = shape.reduce((product, length) => product * length, 1);
  if (shape.length > 8 || size * type.bytes !== file.length - begin)
    throw new DataError(
      `${source}: the header says [${shape}], ${size * type.bytes} bytes, and ${file.length - begin} follow; the file is cut or damaged.`,
    );
  if (described[2] === "u1") return { shape, kind: "bytes", values: file.subarray(begin) };
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const values = new Float64Array(size);
  const little = described[1] !== ">";
  for (let i = 0; i < size; i++) values[i] = type.read(view, begin + i * type.bytes, little);
  return { shape, kind: described[2]!.startsWith("f") ? "floats" : "integers", values };
}
