import { open, readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { DataError, type Row } from "../row.ts";
import type { Task, TaskItem } from "../tasks/task.ts";
import { readRows } from "./read-rows.ts";

export type TaskSplit = "train" | "validation" | "test";

export interface ReadTaskOptions {
  /** Use only the first items. */
  limit?: number;
  /** What a row does that can't be read; default stop. */
  onError?: "stop" | "skip";
  /** Hears of each row skipped. */
  onSkip?: (error: DataError) => void;
}

const maxBytes = 1 << 29;

/** What the suites, their copies and the Stanford files call each split; MNLI reports the matched one. */
const spellings: Record<TaskSplit, RegExp> = {
  train: /(^|[._-])train(?![a-z])/i,
  validation: /(^|[._-])(dev|val|validation)(_matched)?(?![a-z_])/i,
  test: /(^|[._-])test(_matched)?(?![a-z_])/i,
};
const endings = /(\.(tsv|jsonl|json|parquet)(\.gz)?|\.(train|dev|test))$/i;

/** The file of a split in a task's folder. */
async function fileOf(folder: string, split: TaskSplit): Promise<string> {
  const found = await stat(folder).catch(() => undefined);
  if (!found?.isDirectory()) throw new DataError(`${folder}: no such folder of a task.`);
  const names = (await readdir(folder)).sort();
  const fits = names.filter((name) => spellings[split].test(name) && endings.test(name));
  if (fits.length === 1) return join(folder, fits[0]!);
  throw new DataError(
    `${folder}: ${fits.length === 0 ? "no file" : `${fits.length} files (${fits.slice(0, 4).join(", ")})`} for ${split}; ` +
      `name a file. The folder holds ${names.slice(0, 12).join(", ") || "nothing"}.`,
  );
}

async function textOf(file: string): Promise<string> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    if (size > maxBytes)
      throw new DataError(`${file}: ${size} bytes are more than the ${maxBytes} that a task's file has.`);
    const bytes = await handle.readFile();
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/^\uFEFF/, "");
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`${file}: not UTF-8.`);
  } finally {
    await handle.close();
  }
}

/** A table of tabs as the suites have them: no quoting, a header but where the task's columns are known without one. */
function* tableRows(
  text: string,
  file: string,
  { columns, name }: Task,
  problem: (error: DataError) => void,
): Generator<Row> {
  const lines = text.split(/\r?\n/);
  const first = lines[0]?.split("\t") ?? [];
  const hasHeader = !columns || first.includes(columns.at(-1)!);
  const names = hasHeader ? first : columns;
  for (let i = hasHeader ? 1 : 0; i < lines.length; i++) {
    if (lines[i]!.trim() === "") continue;
    const cells = lines[i]!.split("\t");
    const source = `${file}:${i + 1}`;
    if (cells.length !== names.length) {
      problem(
        new DataError(
          `${source}: ${cells.length} cells in place of ${names.length}; is this a file of ${name}?`,
        ),
      );
      continue;
    }
    // Rows are told apart by their line where the file gives them no number.
    yield { fields: Object.fromEntries(names.map((column, at) => [column, cells[at]!])), source };
  }
}

/** `label sentence` a line, as the Stanford treebank's sentences are given. */
function* labelledLines(text: string, file: string, problem: (error: DataError) => void): Generator<Row> {
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "") continue;
    const source = `${file}:${i + 1}`;
    const match = /^(\d+) (.+)$/.exec(line);
    if (match) yield { fields: { label: match[1]!, sentence: match[2]! }, source };
    else problem(new DataError(`${source}: expected a label, a space and a sentence.`));
  }
}

/**
 * The items of a split: of a task's folder, or of one file. Reads the official TSV and JSONL files, their Parquet copies, and files
 * of `label sentence` lines.
 *
 * @param place the folder, in which the split's file is found by its name, or the file itself
 * @throws DataError with file, line and field
 */
export async function readTask(
  task: Task,
  place: string,
  split: TaskSplit,
  { limit = Number.POSITIVE_INFINITY, onError = "stop", onSkip }: ReadTaskOptions = {},
): Promise<TaskItem[]> {
  const isFile = await stat(place).then(
    (found) => found.isFile(),
    () => false,
  );
  const file = isFile ? place : await fileOf(place, split);
  const problem = (error: DataError): void => {
    if (onError === "stop") throw new DataError(`${error.message} onError: skip passes such rows over.`);
    onSkip?.(error);
  };
  let rows: Iterable<Row>;
  if (/\.tsv$/i.test(file)) rows = tableRows(await textOf(file), file, task, problem);
  else if (/\.(train|dev|test)$/i.test(basename(file)))
    rows = labelledLines(await textOf(file), file, problem);
  else rows = await readRows(file, { onError, ...(onSkip && { onSkip }) });
  const items: TaskItem[] = [];
  for (const row of rows) {
    try {
      items.push(...task.items(row));
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      problem(error);
    }
    if (items.length >= limit) return items.slice(0, limit);
  }
  if (items.length === 0) throw new DataError(`${file}: no item of ${task.name}.`);
  return items;
}
