import { type FileHandle, open, readdir, readFile, truncate } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { namingFullDisk } from "@fdiv/tensor-core/node";

// TensorBoard's event files: records of length, masked CRC-32C of the length, protobuf `Event`, masked CRC-32C of it.

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** CRC-32C (Castagnoli) of some bytes. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** TFRecord's mask: rotated right by 15 bits plus a constant, since a CRC of bytes that hold CRCs is weak. */
const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return [...bytes, rest];
}

function float(value: number, bytes: 4 | 8): number[] {
  const view = new DataView(new ArrayBuffer(bytes));
  if (bytes === 4) view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  return [...new Uint8Array(view.buffer)];
}

const lengthDelimited = (field: number, bytes: ArrayLike<number>): number[] => [
  (field << 3) | 2,
  ...varint(bytes.length),
  ...Array.from(bytes),
];
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

interface Event {
  seconds: number;
  step?: number;
  scalars?: Record<string, number>;
  version?: string;
}

/** protobuf `Event`: wall_time = 1, step = 2, file_version = 3, summary = 5 of `Value` = 1 with tag = 1, simple_value = 2. */
function encodeEvent({ seconds, step, scalars, version }: Event): Uint8Array {
  const values = Object.entries(scalars ?? {}).flatMap(([tag, value]) =>
    lengthDelimited(1, [...lengthDelimited(1, utf8(tag)), (2 << 3) | 5, ...float(value, 4)]),
  );
  return Uint8Array.from([
    (1 << 3) | 1,
    ...float(seconds, 8),
    ...(step === undefined ? [] : [2 << 3, ...varint(step)]),
    ...(version === undefined ? [] : lengthDelimited(3, utf8(version))),
    ...(scalars ? lengthDelimited(5, values) : []),
  ]);
}

/** One TFRecord. */
export function encodeRecord(event: Event): Uint8Array {
  const payload = encodeEvent(event);
  const record = new Uint8Array(payload.length + 16);
  const view = new DataView(record.buffer);
  view.setUint32(0, payload.length, true);
  view.setUint32(8, masked(crc32c(record.subarray(0, 8))), true);
  record.set(payload, 12);
  view.setUint32(12 + payload.length, masked(crc32c(payload)), true);
  return record;
}

export interface EventFile {
  scalars(step: number, values: Record<string, number>): Promise<void>;
  close(): Promise<void>;
}

/** Opens the run's event file, or a new one; on resume what comes after `keepTo` is cut off. */
export async function openEventFile(folder: string, keepTo?: number): Promise<EventFile> {
  const name = (await readdir(folder))
    .filter((file) => file.startsWith("events.out.tfevents."))
    .sort()
    .at(-1);
  const fresh = name === undefined;
  const file = join(folder, name ?? `events.out.tfevents.${Math.floor(Date.now() / 1e3)}.${hostname()}`);
  if (!fresh && keepTo !== undefined) await truncate(file, lengthUpTo(await readFile(file), keepTo));
  const handle: FileHandle = await open(file, "a");
  const append = (event: Omit<Event, "seconds">) =>
    namingFullDisk(
      `${file} can't grow. The checkpoints written before are whole; free some room and resume.`,
      () => handle.appendFile(encodeRecord({ ...event, seconds: Date.now() / 1e3 })),
    );
  try {
    if (fresh) await append({ version: "brain.Event:2" });
  } catch (error) {
    await handle.close();
    throw error;
  }
  return {
    async scalars(step, values) {
      const finite = Object.fromEntries(Object.entries(values).filter(([, value]) => Number.isFinite(value)));
      await append({ step, scalars: finite });
    },
    close: () => handle.close(),
  };
}

/** Bytes of the whole records whose step is not above `step`. */
function lengthUpTo(bytes: Uint8Array, step: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at + 16 <= bytes.length) {
    const length = view.getUint32(at, true);
    if (at + 16 + length > bytes.length || recordStep(bytes.subarray(at + 12, at + 12 + length)) > step)
      break;
    at += 16 + length;
  }
  return at;
}

function recordStep(payload: Uint8Array): number {
  if (payload[9] !== 2 << 3) return 0;
  let value = 0;
  for (let i = 10, scale = 1; i < payload.length; i++, scale *= 128) {
    value += (payload[i]! & 127) * scale;
    if (payload[i]! < 128) break;
  }
  return value;
}
