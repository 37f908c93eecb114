import { open } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { NumberArray } from "../../images/number-array.ts";
import { isIdx, parseIdx } from "../../images/parse-idx.ts";
import { isNpy, parseNpy } from "../../images/parse-npy.ts";
import { DataError } from "../../row.ts";

/** A file's bytes, unzipped where it is gzipped; neither may be longer than `maxBytes`. */
export async function readBounded(file: string, maxBytes: number): Promise<Uint8Array> {
  const handle = await open(file).catch((error: NodeJS.ErrnoException) => {
    throw new DataError(error.code === "ENOENT" ? `${file}: no such file.` : `${file}: ${error.message}`);
  });
  try {
    const { size } = await handle.stat();
    if (size > maxBytes) throw new DataError(`${file}: ${size} bytes are more than the ${maxBytes} allowed.`);
    const bytes = await handle.readFile();
    if (!(bytes[0] === 0x1f && bytes[1] === 0x8b)) return bytes;
    return await promisify(gunzip)(bytes, { maxOutputLength: maxBytes }).catch((error: Error) => {
      throw new DataError(
        /larger than/.test(error.message)
          ? `${file}: decompresses to more than ${maxBytes} bytes.`
          : `${file}: ${error.message}; the file is cut or damaged.`,
      );
    });
  } finally {
    await handle.close();
  }
}

/**
 * An array file by its first bytes, IDX or .npy, gzipped or not.
 *
 * @throws DataError saying what is wrong with it
 */
export async function readArrayFile(file: string, { maxBytes = 2 ** 31 - 1 } = {}): Promise<NumberArray> {
  const bytes = await readBounded(file, maxBytes);
  if (isNpy(bytes)) return parseNpy(bytes, file);
  if (isIdx(bytes)) return parseIdx(bytes, file);
  throw new DataError(`${file}: neither IDX nor .npy; images may also be a folder of PNG and JPEG files.`);
}
