import { type FileHandle, open } from "node:fs/promises";
import { namingFullDisk } from "@fdiv/tensor-core/node";

/** A file of JSON lines that a resumed run cuts back to its checkpoint. */
export interface MetricsFile {
  append(line: Record<string, unknown>): Promise<void>;
  /** Drops the lines after a step, and a last line that was cut in the middle. */
  cutAfter(step: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Opens metrics.jsonl for appending; numbers that JSON has no name for are written as null. */
export async function openMetricsFile(path: string): Promise<MetricsFile> {
  const handle: FileHandle = await open(path, "a+");
  return {
    async append(line) {
      await namingFullDisk(
        `${path} can't grow. The checkpoints written before are whole; free some room and resume.`,
        () => handle.appendFile(`${JSON.stringify(line)}\n`),
      );
    },
    async cutAfter(step) {
      const text = await handle.readFile({ encoding: "utf8" });
      let kept = 0;
      for (let start = 0; start < text.length; ) {
        const end = text.indexOf("\n", start);
        if (end < 0 || stepOf(text.slice(start, end)) > step) break;
        kept = end + 1;
        start = end + 1;
      }
      await handle.truncate(Buffer.byteLength(text.slice(0, kept)));
    },
    sync: () => handle.sync(),
    close: () => handle.close(),
  };
}

function stepOf(line: string): number {
  try {
    const { step } = JSON.parse(line) as { step?: unknown };
    return typeof step === "number" ? step : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
