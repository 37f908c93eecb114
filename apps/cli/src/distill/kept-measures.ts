import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeDurably } from "@fdiv/trainer/node";

/** What was measured so far. */
export interface KeptMeasures {
  /** What is kept under a name, or else is made now and kept. */
  once<T>(name: string, make: () => Promise<T>): Promise<T>;
}

/** What an evaluation leaves in a run's directory. */
const results = ["evaluation.json", "report.html", "images"];

interface Contents {
  fingerprint: string;
  measures: Record<string, unknown>;
}

async function contentsOf(file: string): Promise<Contents | undefined> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  try {
    return text === undefined ? undefined : (JSON.parse(text) as Contents);
  } catch {
    return undefined;
  }
}

/**
 * The measures that a run keeps one by one in measured.json. Those that were made with other settings are dropped with all results of theirs, so that none are mixed.
 *
 * @param madeWith everything that the measures are a function of
 * @param files whose contents count too
 */
export async function openKeptMeasures(
  output: string,
  madeWith: unknown,
  files: readonly string[],
): Promise<KeptMeasures> {
  const hash = createHash("sha256").update(JSON.stringify(madeWith));
  for (const file of files) for await (const part of createReadStream(file)) hash.update(part as Buffer);
  const fingerprint = hash.digest("hex");
  const place = join(output, "measured.json");
  const found = await contentsOf(place);
  const measures = new Map(found?.fingerprint === fingerprint ? Object.entries(found.measures) : []);
  if (found?.fingerprint !== fingerprint)
    for (const name of results) await rm(join(output, name), { recursive: true, force: true });
  return {
    async once<T>(name: string, make: () => Promise<T>): Promise<T> {
      if (measures.has(name)) return measures.get(name) as T;
      const made = await make();
      measures.set(name, made);
      const contents: Contents = { fingerprint, measures: Object.fromEntries(measures) };
      await writeDurably(place, `${JSON.stringify(contents)}\n`);
      return made;
    },
  };
}
