import { randomUUID } from "node:crypto";
import { link, open, readFile, realpath, rename, rm, unlink, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { namingFullDisk } from "@fdiv/tensor-core/node";

/** Two runs may not write one directory. */
export class RunLockedError extends Error {
  override name = "RunLockedError";
}

interface Owner {
  pid: number;
  host: string;
  /** Tells this lock from every other one of the same process. */
  token: string;
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

// On the global object, so that a second copy of this module knows of them too.
const registry = globalThis as { [key: symbol]: Set<string> | undefined };
const registryKey = Symbol.for("fdiv.lockedRuns");
registry[registryKey] ??= new Set();
const heldHere: Set<string> = registry[registryKey];

/**
 * Takes a directory for one run; returns what gives it back. A lock whose process is gone is taken over.
 *
 * @throws RunLockedError when a run of this or another living process, or of another machine, holds it, and when the lock file says
 * no process
 */
export async function lockRun(directory: string): Promise<() => Promise<void>> {
  const place = await realpath(directory);
  if (heldHere.has(place))
    throw new RunLockedError(
      `${directory} is in use by another run of this process. Wait for it or choose another output directory.`,
    );
  heldHere.add(place);
  const file = join(place, "run.lock");
  const owner: Owner = { pid: process.pid, host: hostname(), token: randomUUID() };
  try {
    await takeLock(directory, file, owner);
  } catch (error) {
    heldHere.delete(place);
    throw error;
  }
  return async () => {
    heldHere.delete(place);
    const { token } = parseOwner(await readFile(file, "utf8").catch(() => ""));
    if (token === owner.token) await unlink(file).catch(() => undefined);
  };
}

async function takeLock(directory: string, file: string, owner: Owner): Promise<void> {
  const text = JSON.stringify(owner);
  for (let attempt = 0; ; attempt++) {
    const full = `${file} does not fit on it. Free some room first.`;
    if (await namingFullDisk(full, () => createWhole(file, text, owner.token))) return;
    const found = await readFile(file, "utf8").catch((error) => {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    });
    // It was given back between the two calls.
    if (found === undefined && attempt < 5) continue;
    const refusal = whyHeld(directory, file, parseOwner(found ?? ""), owner);
    if (refusal !== undefined || attempt >= 5)
      throw new RunLockedError(refusal ?? `${directory} changes hands all the time.`);
    if (found !== undefined) await removeStale(directory, file, found, owner.token);
  }
}

/** Creates the lock with all of its content at once, so that nobody reads half of it; false when there is one. */
async function createWhole(file: string, text: string, token: string): Promise<boolean> {
  const beside = `${file}.${token}.part`;
  try {
    const handle = await open(beside, "wx");
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(beside, file);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    // Some file systems know no hard links.
    if (!["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EMLINK"].includes(codeOf(error) ?? "")) throw error;
    return await writeFile(file, text, { flag: "wx" }).then(
      () => true,
      (problem) => {
        if (codeOf(problem) === "EEXIST") return false;
        throw problem;
      },
    );
  } finally {
    await rm(beside, { force: true });
  }
}

function parseOwner(text: string): Partial<Owner> {
  try {
    const { pid, host, token } = (JSON.parse(text) ?? {}) as Record<string, unknown>;
    return {
      ...(Number.isSafeInteger(pid) && { pid: pid as number }),
      ...(typeof host === "string" && { host }),
      ...(typeof token === "string" && { token }),
    };
  } catch {
    return {};
  }
}

function whyHeld(directory: string, file: string, holder: Partial<Owner>, owner: Owner): string | undefined {
  const way = "Wait for it, choose another output directory, or";
  if (holder.pid === undefined || holder.host === undefined)
    return `${directory} is in use: ${file} does not say by which process. ${way} delete that file if no run writes there.`;
  const elsewhere = holder.host !== owner.host;
  // This process' own number, and yet not held here: left by an earlier process of that number.
  if (!elsewhere && (holder.pid === owner.pid || !isAlive(holder.pid))) return undefined;
  return `${directory} is in use by process ${holder.pid}${elsewhere ? ` on ${holder.host}` : ""}. ${way} delete ${file} if that process is gone.`;
}

/** Removes the lock that was found stale, and no other that was put there since. */
async function removeStale(directory: string, file: string, stale: string, token: string): Promise<void> {
  const aside = `${file}.${token}.part`;
  try {
    await rename(file, aside);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  const moved = await readFile(aside, "utf8");
  if (moved !== stale) {
    await link(aside, file).catch(() => undefined);
    await rm(aside, { force: true });
    throw new RunLockedError(`${directory} was taken by another run at the same moment.`);
  }
  await rm(aside, { force: true });
}
