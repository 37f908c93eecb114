import { createHash } from "node:crypto";

/** What a cache keeps of a teacher at the points of one example: all logits, or the likeliest tokens and the mass of the others. */
export interface TeacherOutput {
  points: number;
  /** V */
  columns: number;
  /** k; equal to `columns` where all logits are kept. */
  kept: number;
  /** Token ids [points × k]; absent where all are kept. */
  indices?: Int32Array;
  /** Logits [points × V], or log-probabilities [points × k]. */
  values: Float32Array;
  /** log of the others' mass [points]; absent where all are kept. */
  tail?: Float32Array;
}

export const keyBytes = 16;
/** Key, points, kept, columns. */
export const headerBytes = keyBytes + 12;
export const checksumBytes = 16;

const mostPoints = 1 << 22;
const mostColumns = 1 << 24;
const mostBytes = 2 ** 31;

export const digest = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

export interface RecordHeader {
  key: string;
  points: number;
  kept: number;
  columns: number;
  /** Of what follows the header, the checksum not counted. */
  bodyBytes: number;
}

/** The header of a record, or undefined where its numbers can't be: of a damaged file, or one made to do harm. */
export function readHeader(bytes: Buffer): RecordHeader | undefined {
  const key = bytes.subarray(0, keyBytes).toString("hex");
  const [points, kept, columns] = [0, 4, 8].map((at) => bytes.readUInt32LE(keyBytes + at)) as [
    number,
    number,
    number,
  ];
  if (points > mostPoints || columns > mostColumns || kept < 1 || kept > columns) return undefined;
  const bodyBytes = 4 * points * (kept === columns ? kept : 2 * kept + 1);
  return bodyBytes <= mostBytes ? { key, points, kept, columns, bodyBytes } : undefined;
}

const bytesOf = (values: Float32Array | Int32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** @throws RangeError when the output's lengths do not fit, or a number is NaN */
export function encodeRecord(key: string, output: TeacherOutput): Buffer {
  const { points, columns, kept, values, indices, tail } = output;
  const isDense = kept === columns;
  const fits =
    values.length === points * kept &&
    (isDense || (indices?.length === points * kept && tail?.length === points));
  if (!fits)
    throw new RangeError(
      `teacher cache: an output of ${points} points does not fit its ${values.length} values.`,
    );
  if (values.some(Number.isNaN)) throw new RangeError("teacher cache: the teacher's output has NaN.");
  const header = Buffer.alloc(headerBytes);
  header.write(key, "hex");
  [points, kept, columns].forEach((value, i) => {
    header.writeUInt32LE(value, keyBytes + 4 * i);
  });
  const body = isDense ? [bytesOf(values)] : [bytesOf(indices!), bytesOf(values), bytesOf(tail!)];
  return Buffer.concat([header, ...body, digest(header, ...body).subarray(0, checksumBytes)]);
}

/** The output of a whole record, or undefined where its checksum or an index is wrong. */
export function decodeRecord(bytes: Buffer, header: RecordHeader): TeacherOutput | undefined {
  const { points, kept, columns, bodyBytes } = header;
  const end = headerBytes + bodyBytes;
  if (
    !digest(bytes.subarray(0, end))
      .subarray(0, checksumBytes)
      .equals(bytes.subarray(end, end + checksumBytes))
  )
    return undefined;
  // A copy, so that it begins where numbers may.
  const body = new Uint8Array(bytes.subarray(headerBytes, end)).buffer;
  if (kept === columns) return { points, columns, kept, values: new Float32Array(body) };
  const indices = new Int32Array(body, 0, points * kept);
  if (indices.some((id) => id < 0 || id >= columns)) return undefined;
  const values = new Float32Array(body, 4 * points * kept, points * kept);
  return { points, columns, kept, indices, values, tail: new Float32Array(body, 8 * points * kept, points) };
}
