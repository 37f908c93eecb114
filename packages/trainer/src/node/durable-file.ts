import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { namingFullDisk, syncFolder } from "@fdiv/tensor-core/node";

/**
 * Writes a file that is complete or absent: beside its place, synced, then renamed. The old one stays on failure.
 *
 * @throws DiskFullError
 */
export async function writeDurably(path: string, data: string | Uint8Array): Promise<void> {
  const beside = `${path}.${process.pid}.part`;
  try {
    await namingFullDisk(`${path} does not fit on it. What was there before is unchanged.`, async () => {
      await mkdir(dirname(path), { recursive: true });
      const handle = await open(beside, "w");
      try {
        await handle.writeFile(data);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(beside, path);
    });
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}
