import { createHash } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

/** What a log-probability depends on beside the tokens: hashes or plain texts, in any number. */
export type CacheIdentity = Readonly<Record<string, string | number | boolean>>;

/** A sequence whose log-probability is wanted: its tokens, and from which one on they are scored. */
export interface ScoredSequence {
  ids: ArrayLike<number>;
  scoredFrom: number;
}

export interface ReferenceCache {
  /** The log-probabilities of sequences; those not in the cache are computed, in the order given, and kept. */
  logProbs(
    sequences: readonly ScoredSequence[],
    compute: (missing: readonly number[]) => Promise<ArrayLike<number>> | ArrayLike<number>,
  ): Promise<Float32Array>;
  /** Lookups answered and missed since the cache was opened. */
  readonly counts: { hits: number; misses: number };
}

const magic = Buffer.from("fdivref1");
const keyBytes = 16;
const entryBytes = keyBytes + 4;
const maxFileBytes = 1 << 30;

const sha256 = (...parts: (string | Uint8Array)[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

function keyOf({ ids, scoredFrom }: ScoredSequence): string {
  const words = Int32Array.from([scoredFrom, ...Array.from(ids)]);
  return sha256(new Uint8Array(words.buffer)).subarray(0, keyBytes).toString("hex");
}

/**
 * A cache on disk of a frozen model's sequence log-probabilities, one file an identity (model, tokenizer, template, truncation…), entries by
 * hash of the tokens; so a sweep over β and divergences computes the reference once.
 *
 * A file is replaced whole, with a checksum over its entries; a damaged one is told and made anew.
 *
 * @param tell hears of a damaged file
 */
export async function openReferenceCache(
  folder: string,
  identity: CacheIdentity,
  tell: (message: string) => void = () => undefined,
): Promise<ReferenceCache> {
  await mkdir(folder, { recursive: true });
  const sorted = Object.entries(identity).sort(([a], [b]) => (a < b ? -1 : 1));
  const file = join(folder, `${sha256(JSON.stringify(sorted)).toString("hex").slice(0, 32)}.logprobs`);
  const entries = await readEntries(file, tell);
  const counts = { hits: 0, misses: 0 };
  return {
    counts,
    async logProbs(sequences, compute) {
      const keys = sequences.map(keyOf);
      const missing = [...keys.keys()].filter((i) => !entries.has(keys[i]!));
      // A sequence that occurs twice is computed once.
      const firsts = new Map<string, number>();
      for (const i of missing) if (!firsts.has(keys[i]!)) firsts.set(keys[i]!, i);
      const unique = [...firsts.values()];
      counts.hits += sequences.length - missing.length;
      counts.misses += missing.length;
      if (unique.length > 0) {
        const computed = await compute(unique);
        if (computed.length !== unique.length)
          throw new RangeError(
            `reference cache: ${computed.length} log-probabilities came for ${unique.length} sequences.`,
          );
        unique.forEach((i, at) => {
          const value = computed[at]!;
          if (Number.isNaN(value))
            throw new RangeError(`reference cache: the log-probability of sequence ${i} is NaN.`);
          entries.set(keys[i]!, value);
        });
        // Another process may have added to the file since it was read.
        for (const [key, value] of await readEntries(file, tell))
          if (!entries.has(key)) entries.set(key, value);
        await writeEntries(file, entries);
      }
      return Float32Array.from(keys, (key) => entries.get(key)!);
    },
  };
}

async function readEntries(file: string, tell: (message: string) => void): Promise<Map<string, number>> {
  const size = await stat(file).then(
    ({ size }) => size,
    () => undefined,
  );
  const entries = new Map<string, number>();
  if (size === undefined) return entries;
  const damaged = (why: string): Map<string, number> => {
    tell(`${file}: ${why}; its log-probabilities are computed anew.`);
    return new Map();
  };
  if (size > maxFileBytes) return damaged(`${size} bytes are more than a cache grows to`);
  const bytes = await readFile(file);
  const body = bytes.subarray(magic.length + 32);
  if (bytes.length < magic.length + 32 || !bytes.subarray(0, magic.length).equals(magic))
    return damaged("no cache file");
  if (!sha256(body).equals(bytes.subarray(magic.length, magic.length + 32)))
    return damaged("the checksum does not match");
  for (let at = 0; at + entryBytes <= body.length; at += entryBytes)
    entries.set(body.subarray(at, at + keyBytes).toString("hex"), body.readFloatLE(at + keyBytes));
  return entries;
}

async function writeEntries(file: string, entries: ReadonlyMap<string, number>): Promise<void> {
  const body = Buffer.alloc(entries.size * entryBytes);
  let at = 0;
  for (const [key, value] of entries) {
    body.write(key, at, "hex");
    body.writeFloatLE(value, at + keyBytes);
    at += entryBytes;
  }
  const beside = `${file}.${process.pid}.part`;
  try {
    const handle = await open(beside, "w");
    try {
      await handle.writeFile(Buffer.concat([magic, sha256(body), body]));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, file);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}
