/** The disk, or the share of it that the user may fill, is full; the message says which file did not fit and what is left. */
export class DiskFullError extends Error {
  override name = "DiskFullError";
}

/**
 * Runs what writes files; when the disk is full, the error of the system becomes one sentence.
 *
 * @param what what was being written, and what remains of it
 * @throws DiskFullError
 */
export async function namingFullDisk<T>(what: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOSPC" && code !== "EDQUOT") throw error;
    throw new DiskFullError(`The disk is full: ${what}`, { cause: error });
  }
}
