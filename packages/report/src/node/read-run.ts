import { open, readdir, readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { Picture, RunData } from "../run-data.ts";
import { readEvaluation } from "./read-evaluation.ts";

const maxBytes = 1 << 28;
const maxSamples = 1000;

/** A directory that holds no run. */
export class RunReadError extends Error {
  override name = "RunReadError";
}

/** A file's text, or a note why there is none. */
async function text(path: string, notes: string[], needed: boolean): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) {
    if (needed) notes.push(`${basename(path)} is missing`);
    return undefined;
  }
  if (found.size <= maxBytes) return readFile(path, "utf8");
  notes.push(`${basename(path)} has ${found.size} bytes; the first ${maxBytes} were read`);
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === "object" && !Array.isArray(value);

function json(source: string | undefined, file: string, notes: string[]): Record<string, unknown> {
  if (source === undefined) return {};
  try {
    const value: unknown = JSON.parse(source);
    if (isRecord(value)) return value;
  } catch {
    // Told below, as what is no object is.
  }
  notes.push(`${file} is malformed`);
  return {};
}

function lines(source: string | undefined, file: string, notes: string[]): Record<string, unknown>[] {
  let malformed = 0;
  const records = (source ?? "").split("\n").flatMap((line) => {
    if (line.trim() === "") return [];
    try {
      const value: unknown = JSON.parse(line);
      if (isRecord(value)) return [value];
    } catch {
      // Counted below.
    }
    malformed++;
    return [];
  });
  if (malformed > 0) notes.push(`${file}: ${malformed} malformed lines were passed over`);
  return records;
}

const numeric = (record: Record<string, unknown>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(record).filter((entry): entry is [string, number] => typeof entry[1] === "number"),
  );

const maxPictures = 24;
const maxPictureBytes = 1 << 23;
const pngSignature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** The names of the PNG files of a folder, in their order. */
const pictureNames = async (folder: string): Promise<string[]> =>
  (await readdir(folder).catch(() => [] as string[])).filter((name) => name.endsWith(".png")).sort();

/** The PNG files of a folder by the names given. */
async function pictures(
  directory: string,
  folder: string,
  names: readonly string[],
  notes: string[],
): Promise<Picture[]> {
  const found: Picture[] = [];
  for (const name of names) {
    const path = join(directory, folder, name);
    const { size } = await stat(path);
    const png = size <= maxPictureBytes ? await readFile(path) : Buffer.alloc(0);
    if (png.subarray(0, 8).equals(pngSignature)) found.push({ name: name.slice(0, -4), png });
    else notes.push(`${folder}/${name} is no PNG, or larger than ${maxPictureBytes} bytes`);
  }
  return found;
}

/** The grids of images/, the first where there are too many. */
async function grids(directory: string, notes: string[]): Promise<Picture[]> {
  const names = await pictureNames(join(directory, "images"));
  if (names.length > maxPictures)
    notes.push(`images/: the first ${maxPictures} of ${names.length} are shown`);
  return pictures(directory, "images", names.slice(0, maxPictures), notes);
}

const maxPreviews = 6;

/** Samples drawn over training, evenly spread from the first to the last. */
async function previews(directory: string, notes: string[]): Promise<Picture[]> {
  const names = await pictureNames(join(directory, "previews"));
  const count = Math.min(maxPreviews, names.length);
  const spread = Array.from(
    { length: count },
    (_, i) => names[Math.round((i * (names.length - 1)) / Math.max(1, count - 1))]!,
  );
  return pictures(directory, "previews", spread, notes);
}

/**
 * Reads a run directory tolerantly: config.json, metrics.jsonl, samples.jsonl, evaluation.json, data-report.txt, images/, previews/, of which any may be
 * missing, cut or malformed, which is noted.
 *
 * @throws RunReadError when the directory does not exist or holds none of them
 */
export async function readRun(directory: string): Promise<RunData> {
  const notes: string[] = [];
  const file = (name: string, needed = true) => text(join(directory, name), notes, needed);
  const [config, metrics, samples, evaluation, dataReport] = await Promise.all([
    file("config.json"),
    file("metrics.jsonl"),
    file("samples.jsonl", false),
    file("evaluation.json", false),
    file("data-report.txt", false),
  ]);
  if ([config, metrics, samples, evaluation].every((part) => part === undefined))
    throw new RunReadError(
      `${directory} holds no run: neither config.json nor metrics.jsonl nor samples nor an evaluation.`,
    );
  const records = lines(metrics, "metrics.jsonl", notes).map(numeric);
  const isEvaluation = (record: Record<string, number>): boolean =>
    Object.keys(record).some((key) => key.startsWith("eval/"));
  return {
    name: basename(resolve(directory)),
    config: json(config, "config.json", notes),
    rows: records.filter((record) => !isEvaluation(record)),
    evaluations: records
      .filter(isEvaluation)
      .map((record) =>
        Object.fromEntries(Object.entries(record).map(([key, value]) => [key.replace(/^eval\//, ""), value])),
      ),
    samples: lines(samples, "samples.jsonl", notes)
      // The newest: a long run's first ones are of a model long gone.
      .filter((sample, i, all) => i >= all.length - maxSamples || sample.step === 0)
      .slice(0, 2 * maxSamples)
      .flatMap(({ prompt, completion, reward, step }) =>
        typeof completion === "string"
          ? [
              {
                prompt: typeof prompt === "string" ? prompt : "",
                completion,
                ...(typeof reward === "number" && { reward }),
                ...(typeof step === "number" && { step }),
              },
            ]
          : [],
      ),
    evaluation: readEvaluation(json(evaluation, "evaluation.json", notes), notes),
    pictures: await grids(directory, notes),
    previews: await previews(directory, notes),
    ...(dataReport !== undefined && { dataReport }),
    notes,
  };
}
