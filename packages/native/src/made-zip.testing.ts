import { createWriteStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { ZipFile } from "yazl";

/** Writes a zip archive with entries of the given content. */
export async function makeZip(
  path: string,
  entries: Record<string, string | { content: string; mode: number }>,
): Promise<string> {
  const zip = new ZipFile();
  for (const [name, entry] of Object.entries(entries)) {
    const { content, mode } = typeof entry === "string" ? { content: entry, mode: 0o100644 } : entry;
    zip.addBuffer(Buffer.from(content), name, { mode });
  }
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(path));
  return path;
}

/** Replaces every occurrence of a name in an archive by another of the same length, which no writer would write. */
export async function renameEntry(path: string, name: string, hostile: string): Promise<void> {
  if (name.length !== hostile.length) throw new Error("names must have the same length");
  const text = (await readFile(path)).toString("latin1").replaceAll(name, hostile);
  await writeFile(path, Buffer.from(text, "latin1"));
}
