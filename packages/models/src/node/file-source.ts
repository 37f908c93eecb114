import { open } from "node:fs/promises";
import { basename } from "node:path";
import type { ByteSource } from "../gguf/byte-source.ts";

/** A file to read at any place, never whole; close it when done. */
export async function openFileSource(path: string): Promise<ByteSource> {
  const handle = await open(path, "r");
  const name = basename(path);
  const { size } = await handle.stat();
  return {
    name,
    size,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; ) {
        const { bytesRead } = await handle.read(bytes, at, Math.min(length - at, 1 << 30), offset + at);
        if (bytesRead === 0)
          throw new Error(`${name}: ends before byte ${offset + length}; is it truncated?`);
        at += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}
