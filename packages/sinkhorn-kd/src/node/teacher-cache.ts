import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { namingFullDisk } from "@fdiv/tensor-core/node";
import {
  checksumBytes,
  decodeRecord,
  digest,
  encodeRecord,
  headerBytes,
  keyBytes,
  type RecordHeader,
  readHeader,
  type TeacherOutput,
} from "./teacher-record.ts";

/** What a teacher's outputs depend on beside the tokens: hashes or plain texts, in any number. */
export type TeacherIdentity = Readonly<Record<string, string | number | boolean>>;

export interface TeacherCache {
  /**
   * The outputs of examples by all that they depend on, token ids and where points are; those not kept yet are computed, in the order given,
   * and kept.
   */
  outputs(
    examples: readonly ArrayLike<number>[],
    compute: (missing: readonly number[]) => Promise<readonly TeacherOutput[]>,
  ): Promise<TeacherOutput[]>;
  /** Lookups answered and missed since the cache was opened. */
  readonly counts: { hits: number; misses: number };
  close(): Promise<void>;
}

const magic = Buffer.from("fdivtch1");

interface Place {
  file: FileHandle;
  at: number;
  header: RecordHeader;
}

const keyOf = (example: ArrayLike<number>): string => {
  const words = Int32Array.from(Array.from(example));
  return digest(new Uint8Array(words.buffer)).subarray(0, keyBytes).toString("hex");
};

/** Notes where each whole record of a segment is; what a killed process left half-written at its end is passed over. */
async function indexSegment(file: FileHandle, places: Map<string, Place>): Promise<string | undefined> {
  const { size } = await file.stat();
  const start = Buffer.alloc(magic.length);
  await file.read(start, 0, magic.length, 0);
  if (!start.equals(magic)) return "no cache file";
  const bytes = Buffer.alloc(headerBytes);
  for (let at = magic.length; at + headerBytes <= size; ) {
    await file.read(bytes, 0, headerBytes, at);
    const header = readHeader(bytes);
    if (!header) return "a record's sizes can't be";
    const next = at + headerBytes + header.bodyBytes + checksumBytes;
    if (next > size) return undefined;
    if (!places.has(header.key)) places.set(header.key, { file, at, header });
    at = next;
  }
  return undefined;
}

async function readRecord({ file, at, header }: Place): Promise<TeacherOutput | undefined> {
  const bytes = Buffer.alloc(headerBytes + header.bodyBytes + checksumBytes);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, at);
  return bytesRead === bytes.length ? decodeRecord(bytes, header) : undefined;
}

/**
 * A cache on disk of a frozen teacher's outputs: a folder an identity (model, template, temperature, k…), in it a file each process that added
 * to it, records by hash of the tokens. A record is written once and read where it is needed, its checksum tested then; only the index
 * is in memory. A damaged record is told and made anew.
 *
 * @param tell hears of damage
 */
export async function openTeacherCache(
  folder: string,
  identity: TeacherIdentity,
  tell: (message: string) => void = () => undefined,
): Promise<TeacherCache> {
  const sorted = JSON.stringify(Object.entries(identity).sort(([a], [b]) => (a < b ? -1 : 1)));
  const place = join(folder, digest(Buffer.from(sorted)).toString("hex").slice(0, 32));
  await mkdir(place, { recursive: true });
  const places = new Map<string, Place>();
  const files: FileHandle[] = [];
  for (const name of (await readdir(place)).filter((entry) => entry.endsWith(".teacher")).sort()) {
    const file = await open(join(place, name), "r");
    files.push(file);
    const damage = await indexSegment(file, places);
    if (damage) tell(`${join(place, name)}: ${damage}; what it may hold beyond is computed anew.`);
  }
  let own: { file: FileHandle; end: number; path: string } | undefined;
  const append = async (key: string, output: TeacherOutput): Promise<void> => {
    const record = encodeRecord(key, output);
    if (!own) {
      const path = join(place, `${randomUUID()}.teacher`);
      own = { file: await open(path, "wx+"), end: 0, path };
      files.push(own.file);
    }
    const bytes = own.end === 0 ? Buffer.concat([magic, record]) : record;
    const { file, end, path } = own;
    await namingFullDisk(`${path} can't grow. What was kept before is whole.`, () =>
      file.write(bytes, 0, bytes.length, end),
    );
    const header = readHeader(record)!;
    places.set(key, { file, at: end + bytes.length - record.length, header });
    own.end = end + bytes.length;
  };
  const counts = { hits: 0, misses: 0 };
  return {
    counts,
    async outputs(examples, compute) {
      const keys = examples.map(keyOf);
      const found = new Map<string, TeacherOutput>();
      for (const key of new Set(keys)) {
        const known = places.get(key);
        const output = known && (await readRecord(known));
        if (output) found.set(key, output);
        else if (known) tell(`${place}: a record is damaged; it is computed anew.`);
      }
      // An example that occurs twice is computed once.
      const missing = [...keys.keys()].filter((i) => !found.has(keys[i]!) && keys.indexOf(keys[i]!) === i);
      counts.hits += keys.filter((key) => found.has(key)).length;
      counts.misses += missing.length;
      if (missing.length > 0) {
        const computed = await compute(missing);
        if (computed.length !== missing.length)
          throw new RangeError(
            `teacher cache: ${computed.length} outputs came for ${missing.length} examples.`,
          );
        for (const [at, i] of missing.entries()) {
          await append(keys[i]!, computed[at]!);
          found.set(keys[i]!, computed[at]!);
        }
      }
      return keys.map((key) => found.get(key)!);
    },
    async close() {
      await own?.file.sync();
      for (const file of files) await file.close();
    },
  };
}
