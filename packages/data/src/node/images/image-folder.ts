import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type ImageSet, imageSet } from "../../images/image-set.ts";
import { resizeImages } from "../../images/resize.ts";
import { DataError } from "../../row.ts";
import { decodeImage, type Picture } from "./decode-image.ts";
import { readBounded } from "./read-array-file.ts";

export interface FolderOptions {
  /** Height and width to bring every picture to: its middle square, area-averaged. */
  size?: number;
  /** 1 for grey, 3 for colour; default 3, or 1 where every picture is grey. */
  channels?: 1 | 3;
  /** Use only so many. */
  limit?: number;
}

/** Whether a name is a picture's that can be read. */
export const isPicture = (name: string): boolean => /\.(png|jpe?g)$/i.test(name);
/** No picture's file may be longer. */
export const mostFileBytes = 1 << 26;
const mostBytes = 2 ** 33;

/** Pictures with the class that their subfolder is; pictures beside subfolders are refused, since they would have none. */
async function pictureFiles(
  folder: string,
): Promise<{ files: [file: string, label: number][]; classes: string[] }> {
  const entries = await readdir(folder, { withFileTypes: true });
  const classes = entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
  const loose = entries.filter((entry) => entry.isFile() && isPicture(entry.name)).map(({ name }) => name);
  if (classes.length === 0) return { files: loose.sort().map((name) => [join(folder, name), -1]), classes };
  if (loose.length > 0)
    throw new DataError(
      `${folder}: ${loose[0]} lies beside subfolders, which are the classes; move it into one of them.`,
    );
  const files: [string, number][] = [];
  for (const [label, name] of classes.entries()) {
    const inside = (await readdir(join(folder, name))).filter(isPicture).sort();
    if (inside.length === 0)
      throw new DataError(`${join(folder, name)}: no PNG or JPEG in it; each subfolder is a class.`);
    files.push(...inside.map((file): [string, number] => [join(folder, name, file), label]));
  }
  return { files, classes };
}

const isGrey = ({ rgba }: Picture): boolean => {
  for (let i = 0; i < rgba.length; i += 4)
    if (rgba[i] !== rgba[i + 1] || rgba[i] !== rgba[i + 2]) return false;
  return true;
};

/** Red, green and blue as a set of one image. */
function asSet({ height, width, rgba }: Picture): ImageSet {
  const pixels = new Uint8Array(height * width * 3);
  for (let i = 0; i < height * width; i++) pixels.set(rgba.subarray(4 * i, 4 * i + 3), 3 * i);
  return { count: 1, height, width, channels: 3, pixels };
}

/** ITU-R BT.601. */
const luminance = (rgb: ArrayLike<number>, i: number): number =>
  Math.round(0.299 * rgb[3 * i]! + 0.587 * rgb[3 * i + 1]! + 0.114 * rgb[3 * i + 2]!);

/** The largest square in the middle. */
function middleSquare(set: ImageSet): ImageSet {
  const side = Math.min(set.height, set.width);
  if (side === set.height && side === set.width) return set;
  const [top, left] = [Math.floor((set.height - side) / 2), Math.floor((set.width - side) / 2)];
  const pixels = new Uint8Array(side * side * set.channels);
  for (let y = 0; y < side; y++) {
    const from = ((top + y) * set.width + left) * set.channels;
    pixels.set(set.pixels.subarray(from, from + side * set.channels), y * side * set.channels);
  }
  return { ...set, height: side, width: side, pixels };
}

/** A picture's colours as a set of one, its middle square brought to a size, where one is given, by area averaging. */
function sized(picture: Picture, size: number | undefined): ImageSet {
  return size === undefined ? asSet(picture) : resizeImages(middleSquare(asSet(picture)), size, size);
}

/**
 * One PNG or JPEG as a set of one image of three channels.
 *
 * @param size height and width to bring its middle square to, by area averaging
 * @param source named in messages
 * @throws DataError on what is no picture
 */
export const pictureOf = (file: Uint8Array, source: string, size?: number): ImageSet =>
  sized(decodeImage(file, source), size);

/**
 * A folder of PNG and JPEG pictures as a set; subfolders, where there are any, are the classes in alphabetical order.
 *
 * @throws DataError naming the file that can't be used
 */
export async function readImageFolder(folder: string, options: FolderOptions = {}): Promise<ImageSet> {
  const { files: all, classes } = await pictureFiles(folder);
  if (all.length === 0) throw new DataError(`${folder}: no PNG or JPEG in it.`);
  const every = Math.max(1, all.length / (options.limit ?? all.length));
  // A limit takes from all classes alike.
  const files = Array.from(
    { length: Math.min(all.length, options.limit ?? all.length) },
    (_, i) => all[Math.floor(i * every)]!,
  );
  const pictures: [ImageSet, boolean][] = [];
  let bytes = 0;
  for (const [file] of files) {
    const picture = decodeImage(await readBounded(file, mostFileBytes), file);
    const one = sized(picture, options.size);
    const first = pictures[0]?.[0] ?? one;
    if (one.height !== first.height || one.width !== first.width)
      throw new DataError(
        `${file}: ${one.height} × ${one.width} pixels, the first picture ${first.height} × ${first.width}; set size, and all are cut square and resized.`,
      );
    bytes += one.pixels.length;
    if (bytes > mostBytes)
      throw new DataError(`${folder}: more than ${mostBytes} bytes of pixels; set limit.`);
    pictures.push([one, isGrey(picture)]);
  }
  const channels = options.channels ?? (pictures.every(([, grey]) => grey) ? 1 : 3);
  const { height, width } = pictures[0]![0];
  const pixels = new Uint8Array(files.length * height * width * channels);
  pictures.forEach(([{ pixels: rgb }], i) => {
    const at = i * height * width * channels;
    if (channels === 3) pixels.set(rgb, at);
    else for (let k = 0; k < height * width; k++) pixels[at + k] = luminance(rgb, k);
  });
  return imageSet({
    count: files.length,
    height,
    width,
    channels,
    pixels,
    ...(classes.length > 0 && { labels: Int32Array.from(files, ([, label]) => label), classes }),
  });
}
