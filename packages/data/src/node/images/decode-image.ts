import jpeg from "jpeg-js";
import { PNG } from "pngjs";
import { DataError } from "../../row.ts";
import { lacksIntervals } from "./jpeg-structure.ts";
import { pngFault } from "./png-structure.ts";

/** One decoded picture, [height × width × 4], red, green, blue, alpha. */
export interface Picture {
  height: number;
  width: number;
  rgba: Uint8Array;
}

const mostPixels = 1 << 26;
const pngSignature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

const fewerPixels = "it holds fewer pixels than its header says";
/** What the decoder's messages about a JPEG mean; what is not here is damage of another kind. */
const jpegFaults: [RegExp, string][] = [
  [/maxResolutionInMP|maxMemoryUsageInMB|allocate/, `it is larger than the ${mostPixels} pixels allowed`],
  [/unexpected marker/, fewerPixels],
  [/marker was not found/, "the file is cut"],
  [/Unsupported color mode/, "its colours are of a kind that can't be read"],
];

function decodePng(file: Uint8Array): Picture {
  const { data, height, width } = PNG.sync.read(Buffer.from(file.buffer, file.byteOffset, file.byteLength));
  return { height, width, rgba: data };
}

function decodeJpeg(file: Uint8Array): Picture {
  const { height, width, data } = jpeg.decode(file, {
    useTArray: true,
    formatAsRGBA: true,
    maxResolutionInMP: mostPixels / 1e6,
    maxMemoryUsageInMB: 1024,
  });
  return { height, width, rgba: data };
}

/**
 * A PNG or JPEG by its first bytes.
 *
 * @param source named in messages
 * @throws DataError on other formats, on files that are damaged, cut or hold other than the pixels that their header says, and on sizes beyond reason, before anything is allocated for them
 */
export function decodeImage(file: Uint8Array, source: string): Picture {
  const isPng = pngSignature.every((byte, i) => file[i] === byte);
  const isJpeg = file[0] === 0xff && file[1] === 0xd8;
  if (!isPng && !isJpeg) throw new DataError(`${source}: neither PNG nor JPEG.`);
  const refused = (fault: string, cause?: unknown) =>
    new DataError(`${source}: the picture can't be read: ${fault}.`, { cause });
  const fault = isPng ? pngFault(file, mostPixels) : lacksIntervals(file) ? fewerPixels : undefined;
  if (fault !== undefined) throw refused(fault);
  try {
    return isPng ? decodePng(file) : decodeJpeg(file);
  } catch (error) {
    const known = isJpeg && jpegFaults.find(([pattern]) => pattern.test((error as Error).message));
    throw refused(known ? known[1] : "it is damaged, or of a kind that can't be read", error);
  }
}
