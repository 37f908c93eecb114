import { type FileHandle, open } from "node:fs/promises";

/** Makes a rename or a new file in a folder survive a power cut, where the system lets folders be opened. */
export async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, "r");
    await handle.sync();
  } catch (error) {
    // Windows opens no folders; there the file's own sync has to do.
    if (!["EISDIR", "EPERM", "EACCES", "EINVAL"].includes((error as NodeJS.ErrnoException).code ?? ""))
      throw error;
  } finally {
    await handle?.close();
  }
}
