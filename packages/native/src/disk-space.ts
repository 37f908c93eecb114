import { statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { NativeError } from "./native-error.ts";
import { formatBytes } from "./sizes.ts";

/** Bytes that a user may write where a path is or will be. */
export async function freeBytes(path: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch (error) {
    const parent = dirname(resolve(path));
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || parent === resolve(path)) throw error;
    return freeBytes(parent);
  }
}

/** @throws NativeError when fewer bytes are free than needed */
export function checkSpace(path: string, needed: number, free: number): void {
  if (free < needed)
    throw new NativeError(
      `Installing needs ${formatBytes(needed)} for a while, and ${formatBytes(free)} are free at ${path}. Free some, or choose another place with --cache <folder> (or FDIV_CACHE).`,
    );
}
