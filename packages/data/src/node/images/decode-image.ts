import jpeg from "jpeg-js";
import { PNG } from "pngjs";
import { DataError } from "../../row.ts";

/** One decoded picture, [height × width × 4], red, green, blue, alpha. */
export interface Picture {
  height: number;
  width: number;
  rgba: Uint8Array;
}

const mostPixels = 1 << 26;
const pngSignature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/**
 * A PNG or JPEG by its first bytes.
 *
 * @param source named in messages
 * @throws DataError on other formats, damaged files, and sizes beyond reason, before anything is allocated for them
 */
export function decodeImage(file: Uint8Array, source: string): Picture {
  const isPng = pngSignature.every((byte, i) => file[i] === byte);
  const isJpeg = file[0] === 0xff && file[1] === 0xd8;
  if (!isPng && !isJpeg) throw new DataError(`${source}: neither PNG nor JPEG.`);
  try {
    if (isJpeg) {
      const { height, width, data } = jpeg.decode(file, {
        useTArray: true,
        formatAsRGBA: true,
        maxResolutionInMP: mostPixels / 1e6,
        maxMemoryUsageInMB: 1024,
      });
      return { height, width, rgba: data };
    }
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    const [width, height] = [view.getUint32(16), view.getUint32(20)];
    if (width * height > mostPixels)
      throw new DataError(`${source}: ${width} × ${height} pixels are more than the ${mostPixels} allowed.`);
    const { data, ...size } = PNG.sync.read(Buffer.from(file.buffer, file.byteOffset, file.byteLength));
    return { height: size.height, width: size.width, rgba: data };
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(
      `${source}: ${(error as Error).message}; the picture is damaged or of a kind that can't be read.`,
    );
  }
}
