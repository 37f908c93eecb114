import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import {
  maxLineLength,
  parseJsonLine,
  parseJsonRows,
  parsePlainText,
  parseTableRows,
} from "../parse-rows.ts";
import { DataError, type Row, type RowFaults } from "../row.ts";

export interface ReadOptions extends RowFaults {
  /** Use only the first rows of all files together. */
  limit?: number;
  /** Turns `hf:owner/name` into files. */
  resolve?: (spec: string) => Promise<string[]>;
  /** Most bytes a file may have or decompress to; default 8 GiB. */
  maxBytes?: number;
}

const wholeFileBytes = 1 << 29;

/**
 * The rows of data files, by the ending of their names: .jsonl, .json, .csv, .tsv, .parquet, .txt, each but Parquet also with .gz.
 *
 * @throws DataError with file, line and field
 */
export async function readRows(specs: string | readonly string[], options: ReadOptions = {}): Promise<Row[]> {
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  const rows: Row[] = [];
  for (const spec of typeof specs === "string" ? [specs] : specs) {
    for (const file of await filesOf(spec, options)) {
      for await (const row of rowsOf(file, options)) {
        rows.push(row);
        if (rows.length >= limit) return rows;
      }
    }
  }
  if (rows.length === 0) throw new DataError(`${[specs].flat().join(", ")}: no rows.`);
  return rows;
}

async function filesOf(spec: string, { resolve }: ReadOptions): Promise<string[]> {
  if (!spec.startsWith("hf:")) return [spec];
  if (!resolve) throw new DataError(`${spec}: downloads are not available here.`);
  const files = await resolve(spec);
  if (files.length === 0)
    throw new DataError(`${spec}: no data file (.jsonl, .json, .csv, .tsv, .parquet, .txt) was found.`);
  return files;
}

async function* rowsOf(file: string, options: ReadOptions): AsyncGenerator<Row> {
  const { size } = await stat(file).catch((error: NodeJS.ErrnoException) => {
    throw new DataError(error.code === "ENOENT" ? `${file}: no such file.` : `${file}: ${error.message}`);
  });
  const maxBytes = options.maxBytes ?? 2 ** 33;
  if (size > maxBytes) throw new DataError(`${file}: ${size} bytes are more than the ${maxBytes} allowed.`);
  const plain = file.replace(/\.gz$/, "");
  const zipped = plain !== file;
  const ending = /\.[^./\\]+$/.exec(plain)?.[0].toLowerCase() ?? "";
  switch (ending) {
    case ".jsonl":
    case ".ndjson":
      yield* jsonLines(file, zipped, maxBytes, options);
      return;
    case ".json":
      yield* parseJsonRows(await wholeText(file, zipped), file);
      return;
    case ".csv":
      yield* parseTableRows(await wholeText(file, zipped), file, ",");
      return;
    case ".tsv":
      yield* parseTableRows(await wholeText(file, zipped), file, "\t");
      return;
    case ".txt":
      yield* parsePlainText(await wholeText(file, zipped), file);
      return;
    case ".parquet":
      yield* await parquetRows(file, options.limit);
      return;
    default:
      throw new DataError(
        `${file}: the ending "${ending}" is none of .jsonl, .json, .csv, .tsv, .txt, .parquet (.gz).`,
      );
  }
}

async function* chunks(file: string, zipped: boolean, maxBytes: number): AsyncGenerator<Buffer> {
  const source = createReadStream(file);
  const stream = zipped ? createGunzip() : source;
  // An error of the source must reach the reader of the unzipped end.
  const joined = zipped
    ? pipeline(source, stream as ReturnType<typeof createGunzip>).catch(() => undefined)
    : undefined;
  let bytes = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new DataError(`${file}: decompresses to more than ${maxBytes} bytes.`);
      yield chunk;
    }
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`${file}: ${(error as Error).message}; the file is cut or damaged.`);
  } finally {
    source.destroy();
    await joined;
  }
}

async function* jsonLines(
  file: string,
  zipped: boolean,
  maxBytes: number,
  { onError = "stop", onSkip }: ReadOptions,
): AsyncGenerator<Row> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  let line = 0;
  const parse = (text: string): Row | undefined => {
    line++;
    try {
      return parseJsonLine(line === 1 ? text.replace(/^\uFEFF/, "") : text, `${file}:${line}`);
    } catch (error) {
      if (onError === "stop" || !(error instanceof DataError)) throw error;
      onSkip?.(error);
      return undefined;
    }
  };
  const decode = (chunk?: Buffer): string => {
    try {
      return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
    } catch {
      throw new DataError(`${file}:${line + 1}: not UTF-8.`);
    }
  };
  for await (const chunk of chunks(file, zipped, maxBytes)) {
    const lines = (rest + decode(chunk)).split("\n");
    rest = lines.pop()!;
    if (rest.length > maxLineLength)
      throw new DataError(`${file}:${line + 1}: the line has more than ${maxLineLength} characters.`);
    for (const text of lines) {
      const row = parse(text);
      if (row) yield row;
    }
  }
  const last = parse(rest + decode());
  if (last) yield last;
}

async function wholeText(file: string, zipped: boolean): Promise<string> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks(file, zipped, wholeFileBytes)) parts.push(chunk);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts)).replace(/^\uFEFF/, "");
  } catch {
    throw new DataError(`${file}: not UTF-8.`);
  }
}

/** Rows that a Parquet file may have: its whole table is in memory at once. */
const parquetRowLimit = 50_000_000;

async function parquetRows(file: string, limit: number | undefined): Promise<Row[]> {
  const start = await open(file).then(async (handle) => {
    const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    await handle.close();
    return buffer.toString("latin1");
  });
  if (start !== "PAR1") throw new DataError(`${file}: no Parquet file.`);
  try {
    const buffer = await asyncBufferFromFile(file);
    const metadata = await parquetMetadataAsync(buffer);
    const count = Number(metadata.num_rows);
    if (!(count >= 0 && count <= parquetRowLimit))
      throw new Error(`it claims ${count} rows, and ${parquetRowLimit} are allowed`);
    const rowEnd = Math.min(count, limit ?? count);
    const records = await parquetReadObjects({ file: buffer, metadata, compressors, rowEnd });
    return records.map((fields, i) => ({ fields, source: `${file}, row ${i + 1}` }));
  } catch (error) {
    throw new DataError(`${file}: ${(error as Error).message}`);
  }
}
