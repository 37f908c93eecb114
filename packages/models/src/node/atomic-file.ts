import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Writes a file that is there whole or not at all: beside its place, synced, renamed. */
export async function writeAtomically(
  path: string,
  chunks: Iterable<Uint8Array | string> | AsyncIterable<Uint8Array | string>,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const beside = `${path}.${process.pid}.part`;
  try {
    const handle = await open(beside, "w");
    try {
      for await (const chunk of chunks) await handle.appendFile(chunk);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

/** Indented JSON, atomically. */
export const writeJson = (path: string, value: unknown): Promise<void> =>
  writeAtomically(path, [`${JSON.stringify(value, null, 2)}\n`]);

/**
 * Fills a folder by `write`, which is given a new one beside it. A folder that was absent or empty appears whole; in one with
 * other files each new file replaces its namesake, and `stale` says which of the others go.
 */
export async function writeFolder(
  folder: string,
  write: (temporary: string) => Promise<void>,
  stale: (name: string) => boolean = () => false,
): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const temporary = join(dirname(folder), `.${basename(folder)}.${process.pid}.part`);
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary);
  try {
    await write(temporary);
    const before = await readdir(folder).catch(() => undefined);
    if (before === undefined || before.length === 0) {
      await rm(folder, { recursive: true, force: true });
      await rename(temporary, folder);
      return;
    }
    const written = await readdir(temporary);
    for (const name of written) {
      // A folder takes no other's place that is not empty.
      if ((await stat(join(temporary, name))).isDirectory())
        await rm(join(folder, name), { recursive: true, force: true });
      await rename(join(temporary, name), join(folder, name));
    }
    for (const name of before)
      if (stale(name) && !written.includes(name)) await rm(join(folder, name), { force: true });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
