import { open } from "node:fs/promises";
import { basename } from "node:path";
import { DataError, type Row } from "../row.ts";
import type { Task, TaskItem } from "../tasks/task.ts";
import { readRows } from "./read-rows.ts";
import { type TaskPlace, type TaskSplit, taskFile } from "./task-files.ts";

export interface ReadTaskOptions {
  /** Use only the first items. */
  limit?: number;
  /** What a row does that can't be read; default stop. */
  onError?: "stop" | "skip";
  /** Hears of each row skipped. */
  onSkip?: (error: DataError) => void;
  /** Leave out what there is no right answer to; a file of nothing else is refused. */
  labelled?: boolean;
  /** Hears how many items were left out so. */
  onUnlabelled?: (count: number, file: string) => void;
}

const maxBytes = 1 << 29;

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

/** Whether an item can be judged: its right answer need not be among its choices. */
const isLabelled = ({ label, answers }: TaskItem): boolean => label !== undefined || answers !== undefined;

/**
 * The items of a split. Reads the official TSV and JSONL files, their Parquet copies, and files of `label sentence` lines.
 *
 * @param place the folder, in which the split's file is found by its name, or files by name
 * @throws DataError with file, line and field
 */
export async function readTask(
  task: Task,
  place: TaskPlace,
  split: TaskSplit,
  options: ReadTaskOptions = {},
): Promise<TaskItem[]> {
  const { limit = Number.POSITIVE_INFINITY, onError = "stop", onSkip } = options;
  const { labelled = false, onUnlabelled } = options;
  const file = await taskFile(place, split);
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
  let unlabelled = 0;
  let names: string[] = [];
  for (const row of rows) {
    if (names.length === 0) names = Object.keys(row.fields);
    try {
      for (const item of task.items(row)) {
        if (!labelled || isLabelled(item)) items.push(item);
        else unlabelled++;
      }
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      problem(error);
    }
    if (items.length >= limit) break;
  }
  if (items.length === 0 && unlabelled > 0)
    throw new DataError(
      `${file}: no row has a label of ${task.name}, which files call ${task.labelNames.join(", or ")}; ` +
        `the rows have ${names.slice(0, 12).join(", ")}.`,
    );
  if (items.length === 0) throw new DataError(`${file}: no item of ${task.name}.`);
  if (unlabelled > 0) onUnlabelled?.(unlabelled, file);
  return items.slice(0, limit);
}
