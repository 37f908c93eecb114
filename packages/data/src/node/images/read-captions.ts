import { readdir, stat } from "node:fs/promises";
import { dirname, extname, isAbsolute, join, resolve, sep } from "node:path";
import { DataError, type Row } from "../../row.ts";
import { readRows } from "../read-rows.ts";
import { isPicture } from "./image-folder.ts";
import { readBounded } from "./read-array-file.ts";

/** What a picture shows, in words, with the picture where there is one. */
export interface Captioned {
  /** One or more. */
  captions: string[];
  /** A PNG's or JPEG's path. */
  image?: string;
}

export interface CaptionOptions {
  /** The folder of the pictures that the file names; default the file's own. */
  images?: string;
  /** Use only so many. */
  limit?: number;
}

const mostCaption = 1 << 16;
const mostBytes = 2 ** 31 - 1;

function captionOf(value: unknown, source: string): string {
  if (typeof value !== "string") throw new DataError(`${source}: caption is no text.`);
  if (value.length > mostCaption)
    throw new DataError(`${source}: a caption of ${value.length} characters; ${mostCaption} are allowed.`);
  return value.trim();
}

/** A picture's path inside a folder. @throws DataError where a name leads out of it */
function inside(folder: string, name: unknown, source: string): string {
  if (typeof name !== "string" || name === "" || name.includes("\0"))
    throw new DataError(`${source}: image is no file's name.`);
  const path = resolve(folder, name);
  if (isAbsolute(name) || !path.startsWith(resolve(folder) + sep))
    throw new DataError(`${source}: the image ${name} is not inside ${folder}.`);
  return path;
}

/** Rows of `caption` (or `captions`, `text`), and `image` (or `file_name`) where there is one. */
function ofRow({ fields, source }: Row, folder: string): Captioned {
  const given = fields.captions ?? fields.caption ?? fields.text;
  if (given === undefined)
    throw new DataError(
      `${source}: caption is missing; the row has ${Object.keys(fields).slice(0, 12).join(", ")}.`,
    );
  const captions = (Array.isArray(given) ? given : [given]).map((text) => captionOf(text, source));
  if (captions.length === 0) throw new DataError(`${source}: captions is empty.`);
  const name = fields.image ?? fields.file_name;
  return { captions, ...(name !== undefined && name !== null && { image: inside(folder, name, source) }) };
}

interface CocoFile {
  images: { id?: unknown; file_name?: unknown }[];
  annotations: { image_id?: unknown; caption?: unknown }[];
}

const isCoco = (json: unknown): json is CocoFile =>
  typeof json === "object" &&
  json !== null &&
  Array.isArray((json as CocoFile).images) &&
  Array.isArray((json as CocoFile).annotations);

/** MS-COCO's captions_*.json (Lin et al. 2014, https://arxiv.org/abs/1405.0312): several captions a picture. */
function ofCoco({ images, annotations }: CocoFile, file: string, folder: string): Captioned[] {
  const captions = new Map<unknown, string[]>();
  annotations.forEach((entry, i) => {
    const text = captionOf(entry?.caption, `${file}, annotation ${i}`);
    captions.set(entry.image_id, [...(captions.get(entry.image_id) ?? []), text]);
  });
  return images.flatMap((entry, i) => {
    const own = captions.get(entry?.id);
    return own ? [{ captions: own, image: inside(folder, entry.file_name, `${file}, image ${i}`) }] : [];
  });
}

/** Pictures that have a text of the same name beside them. */
async function ofFolder(folder: string): Promise<Captioned[]> {
  const names = (await readdir(folder)).sort();
  const has = new Set(names);
  const found: Captioned[] = [];
  for (const name of names.filter(isPicture)) {
    const text = `${name.slice(0, -extname(name).length)}.txt`;
    if (!has.has(text)) throw new DataError(`${join(folder, name)}: there is no ${text} with its caption.`);
    const bytes = await readBounded(join(folder, text), mostCaption);
    found.push({
      captions: [captionOf(new TextDecoder().decode(bytes), join(folder, text))],
      image: join(folder, name),
    });
  }
  return found;
}

async function read(path: string, { images, limit }: CaptionOptions): Promise<Captioned[]> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new DataError(
      error.code === "ENOENT" ? `${path}: no such file or folder.` : `${path}: ${error.message}`,
    );
  });
  if (found.isDirectory()) {
    if (images !== undefined)
      throw new DataError(`${path}: a folder's pictures are its own; images is for a file of captions.`);
    return ofFolder(path);
  }
  const folder = images ?? dirname(path);
  if (/\.json(\.gz)?$/i.test(path)) {
    const text = new TextDecoder().decode(await readBounded(path, mostBytes));
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (error) {
      throw new DataError(`${path}: not valid JSON: ${(error as Error).message}`);
    }
    if (isCoco(json)) return ofCoco(json, path, folder);
  }
  const rows = await readRows(path, { ...(limit !== undefined && { limit }) });
  return rows.map((row) => ofRow(row, folder));
}

/**
 * Captions with or without pictures: a file of rows (.jsonl, .json, .csv, .tsv, .parquet, .txt) with `caption` and `image`, MS-COCO's captions_*.json, or a folder of PNG and JPEG with a
 * .txt of the same name each.
 *
 * @throws DataError saying where and what is wrong
 */
export async function readCaptions(path: string, options: CaptionOptions = {}): Promise<Captioned[]> {
  const all = await read(path, options);
  if (all.length === 0) throw new DataError(`${path}: there is no caption in it.`);
  return all.slice(0, options.limit);
}
