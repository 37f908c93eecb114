import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, resolve, sep } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as yauzl from "yauzl";
import { NativeError } from "./native-error.ts";

export interface UnzipOptions {
  /** Where an entry goes, relative to the folder; undefined leaves it out. */
  select(name: string): string | undefined;
  /** Entries that an archive may list. */
  maximumEntries?: number;
  /** Bytes that the chosen entries may have together, unpacked. */
  maximumBytes?: number;
  signal?: AbortSignal;
  /** Told the bytes written so far and those of all chosen entries that were met. */
  onBytes?(written: number): void;
}

const typeMask = 0o170000;
const symbolicLink = 0o120000;

/**
 * Unpacks chosen entries of a zip archive, each streamed to its file.
 *
 * @returns the files written, relative to the folder
 * @throws NativeError for an archive that is broken, too large, encrypted, or names places outside the folder; what was
 * written until then stays
 */
export async function unzip(archive: string, folder: string, options: UnzipOptions): Promise<string[]> {
  const { select, signal, onBytes, maximumEntries = 100_000, maximumBytes = 8e9 } = options;
  const refuse = (why: string): never => {
    throw new NativeError(`${archive}: ${why}.`);
  };
  const written: string[] = [];
  let declared = 0;
  let bytes = 0;
  // Names with "..", absolute ones and backslashes are refused by yauzl, and entries that unpack to another size.
  const zip = await yauzl
    .openPromise(archive, { autoClose: false, validateEntrySizes: true })
    .catch((error) => refuse(`no readable zip archive (${(error as Error).message})`));
  try {
    if (zip.entryCount > maximumEntries)
      refuse(`${zip.entryCount} entries, where ${maximumEntries} are allowed`);
    for await (const entry of zip.eachEntry()) {
      signal?.throwIfAborted();
      const name = entry.fileName;
      if (name.endsWith("/")) continue;
      const chosen = select(name);
      if (chosen === undefined) continue;
      const path = resolve(folder, chosen);
      if (!path.startsWith(resolve(folder) + sep)) refuse(`the entry "${name}" leads out of the folder`);
      const mode = entry.externalFileAttributes >>> 16;
      if ((mode & typeMask) === symbolicLink) refuse(`the entry "${name}" is a symbolic link`);
      if (entry.isEncrypted()) refuse(`the entry "${name}" is encrypted`);
      declared += entry.uncompressedSize;
      if (declared > maximumBytes) refuse(`it unpacks to more than ${maximumBytes} bytes`);
      await mkdir(dirname(path), { recursive: true });
      const count = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          bytes += chunk.length;
          onBytes?.(bytes);
          done(undefined, chunk);
        },
      });
      const reader = await zip.openReadStreamPromise(entry);
      // Opened only now: one that fails to open while something else is awaited would bring the process down.
      // "wx": a second entry of the same name is a trick.
      const file = createWriteStream(path, { flags: "wx", mode: mode & 0o111 ? 0o755 : 0o644 });
      await pipeline(reader, count, file, { signal });
      written.push(chosen);
    }
  } catch (error) {
    if (error instanceof NativeError || signal?.aborted) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") refuse("two entries have the same name");
    if (code === "ENOSPC") throw new NativeError(`No space left while unpacking ${archive} into ${folder}.`);
    refuse(message);
  } finally {
    zip.close();
  }
  return written;
}
