import { readFile, unlink, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";

/** Two runs may not write one directory. */
export class RunLockedError extends Error {
  override name = "RunLockedError";
}

interface Owner {
  pid: number;
  host: string;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/**
 * Takes a directory for this process; returns what gives it back. A lock whose process is gone is taken over.
 *
 * @throws RunLockedError when another living process, or one on another machine, holds it
 */
export async function lockRun(directory: string): Promise<() => Promise<void>> {
  const file = join(directory, "run.lock");
  const owner: Owner = { pid: process.pid, host: hostname() };
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(file, JSON.stringify(owner), { flag: "wx" });
      return () => unlink(file).catch(() => undefined);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST" || attempt > 0) throw error;
    }
    const holder = await readFile(file, "utf8")
      .then((text) => JSON.parse(text) as Partial<Owner>)
      .catch(() => ({}) as Partial<Owner>);
    const elsewhere = holder.host !== undefined && holder.host !== owner.host;
    const alive = holder.pid !== undefined && holder.pid !== process.pid && isAlive(holder.pid);
    if (elsewhere || alive)
      throw new RunLockedError(
        `${directory} is in use by process ${holder.pid}${elsewhere ? ` on ${holder.host}` : ""}. ` +
          `Wait for it, choose another output directory, or delete ${file} if that process is gone.`,
      );
    await unlink(file).catch(() => undefined);
  }
}
