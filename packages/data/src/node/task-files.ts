import { readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../row.ts";

/** The mismatched splits are MNLI's alone, of other genres than it trains on. */
export type TaskSplit = "train" | "validation" | "test" | "validation_mismatched" | "test_mismatched";

/** Files of splits by name. */
export type TaskFiles = { readonly [split in TaskSplit]?: string | undefined };

/** A task's folder, or files of its own; a split that has none is looked for in the folder. */
export type TaskPlace =
  | string
  | { readonly folder?: string | undefined; readonly files?: TaskFiles | undefined };

/** What the suites, their copies and the Stanford files call each split; of MNLI's two, validation and test are the matched ones. */
const spellings: Record<TaskSplit, RegExp> = {
  train: /(^|[._-])train(?![a-z])/i,
  validation: /(^|[._-])(dev|val|validation)(_matched)?(?![a-z_])/i,
  test: /(^|[._-])test(_matched)?(?![a-z_])/i,
  validation_mismatched: /(^|[._-])(dev|val|validation)_mismatched(?![a-z_])/i,
  test_mismatched: /(^|[._-])test_mismatched(?![a-z_])/i,
};
const endings = /(\.(tsv|jsonl|json|parquet)(\.gz)?|\.(train|dev|test))$/i;

async function namedFile(file: string, split: TaskSplit): Promise<string> {
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile()) return file;
  throw new DataError(`files.${split}: ${file} is ${found ? "no file" : "not there"}.`);
}

/**
 * The file of a split, or undefined where the folder has none.
 *
 * @throws DataError where a named file, or the folder, is not there, or several files fit
 */
export async function findTaskFile(place: TaskPlace, split: TaskSplit): Promise<string | undefined> {
  const { folder, files } = typeof place === "string" ? { folder: place, files: undefined } : place;
  const named = files?.[split];
  if (named !== undefined) return namedFile(named, split);
  if (folder === undefined) return undefined;
  const found = await stat(folder).catch(() => undefined);
  if (found?.isFile())
    throw new DataError(
      `${folder} is a file, and a task's folder holds a file of each split; give the folder, or each split's own file: files: { train: …, validation: … }.`,
    );
  if (!found?.isDirectory()) throw new DataError(`${folder}: no such folder of a task.`);
  const names = (await readdir(folder)).sort();
  const fits = names.filter((name) => spellings[split].test(name) && endings.test(name));
  if (fits.length > 1)
    throw new DataError(
      `${folder}: ${fits.length} files (${fits.slice(0, 4).join(", ")}) for ${split}; name one: files: { ${split}: … }.`,
    );
  return fits[0] === undefined ? undefined : join(folder, fits[0]);
}

/** The file of a split. @throws DataError where there is none, or several in a folder */
export async function taskFile(place: TaskPlace, split: TaskSplit): Promise<string> {
  const file = await findTaskFile(place, split);
  if (file !== undefined) return file;
  const folder = typeof place === "string" ? place : place.folder;
  if (folder === undefined)
    throw new DataError(`there is no file for ${split}; give files.${split}, or the task's folder.`);
  const names = (await readdir(folder)).sort();
  throw new DataError(
    `${folder}: no file for ${split}; name one: files: { ${split}: … }. The folder holds ${names.slice(0, 12).join(", ") || "nothing"}.`,
  );
}

/** Whether two paths lead to one file, by links of either kind. */
export async function sameFile(a: string, b: string): Promise<boolean> {
  if ((await realpath(a)) === (await realpath(b))) return true;
  const [first, second] = await Promise.all([stat(a, { bigint: true }), stat(b, { bigint: true })]);
  // File systems without numbers of files give 0.
  return first.ino !== 0n && first.ino === second.ino && first.dev === second.dev;
}
