import { parse as parseCsv } from "csv-parse/sync";
import { DataError, type Row } from "./row.ts";

/** Longest line of a JSONL file, in characters; a longer one is no row but an attack or another format. */
export const maxLineLength = 1 << 24;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === "object" && !Array.isArray(value);

/** One line of JSONL; `undefined` for a blank one. Throws DataError with file and line. */
export function parseJsonLine(line: string, source: string): Row | undefined {
  if (line.trim() === "") return undefined;
  if (line.length > maxLineLength)
    throw new DataError(
      `${source}: the line has ${line.length} characters; no row is longer than ${maxLineLength}.`,
    );
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new DataError(`${source}: malformed JSON (${(error as Error).message.slice(0, 100)}).`);
  }
  if (typeof value === "string") return { fields: { text: value }, source };
  if (!isRecord(value)) throw new DataError(`${source}: the line is no JSON object.`);
  return { fields: value, source };
}

/** A JSON file: an array of objects or texts, or an object with such an array under `data`, `rows` or `train`. */
export function parseJsonRows(text: string, file: string): Row[] {
  let tree: unknown;
  try {
    tree = JSON.parse(text);
  } catch (error) {
    throw new DataError(`${file}: malformed JSON (${(error as Error).message.slice(0, 100)}).`);
  }
  const list = isRecord(tree)
    ? ["data", "rows", "train"].map((key) => (tree as never)[key]).find(Array.isArray)
    : tree;
  if (!Array.isArray(list)) throw new DataError(`${file}: expected an array of rows.`);
  return list.map((value: unknown, i) => {
    const source = `${file}, row ${i + 1}`;
    if (typeof value === "string") return { fields: { text: value }, source };
    if (!isRecord(value)) throw new DataError(`${source}: a row is an object or a text.`);
    return { fields: value, source };
  });
}

/** A CSV or TSV file with a header line. Cells that hold JSON lists (messages) are read as such. */
export function parseTableRows(text: string, file: string, delimiter: "," | "\t"): Row[] {
  try {
    const records = parseCsv(text, {
      columns: true,
      bom: true,
      delimiter,
      skip_empty_lines: true,
      info: true,
      max_record_size: maxLineLength,
      ...(delimiter === "\t" && { quote: null }),
    }) as unknown as { record: Record<string, string>; info: { lines: number } }[];
    return records.map(({ record, info }) => ({
      fields: Object.fromEntries(Object.entries(record).map(([name, cell]) => [name, messagesOrText(cell)])),
      source: `${file}:${info.lines}`,
    }));
  } catch (error) {
    throw new DataError(`${file}: ${(error as Error).message}`);
  }
}

function messagesOrText(cell: string): unknown {
  if (!/^\s*\[\s*\{/.test(cell)) return cell;
  try {
    return JSON.parse(cell) as unknown;
  } catch {
    return cell;
  }
}

/** Plain text: one document a paragraph where blank lines separate them, else one a line. */
export function parsePlainText(text: string, file: string): Row[] {
  const byParagraph = /\n\s*\n/.test(text);
  const rows: Row[] = [];
  let line = 1;
  for (const piece of text.split(byParagraph ? /(\n\s*\n)/ : /(\n)/)) {
    if (piece.trim() !== "") rows.push({ fields: { text: piece.trim() }, source: `${file}:${line}` });
    line += piece.split("\n").length - 1;
  }
  return rows;
}
