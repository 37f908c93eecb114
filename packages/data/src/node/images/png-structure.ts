import { inflateSync } from "node:zlib";

/** Samples a pixel of each colour type, and the bits a sample may have (PNG specification, table 11.1). */
const colourTypes: Record<number, { samples: number; depths: readonly number[] }> = {
  0: { samples: 1, depths: [1, 2, 4, 8, 16] },
  2: { samples: 3, depths: [8, 16] },
  3: { samples: 1, depths: [1, 2, 4, 8] },
  4: { samples: 2, depths: [8, 16] },
  6: { samples: 4, depths: [8, 16] },
};

/** Where Adam7's seven passes start and how far apart their pixels are: [x, y, step across, step down]. */
const passes = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

interface Header {
  width: number;
  height: number;
  bits: number;
  interlaced: boolean;
}

/** @returns what is wrong, or the header's fields */
function headerOf(view: DataView, mostPixels: number): Header | string {
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const [depth, colour, compression, filter, interlace] = [24, 25, 26, 27, 28].map((at) => view.getUint8(at));
  const type = colourTypes[colour!];
  if (width === 0 || height === 0) return `its header says ${width} × ${height} pixels`;
  if (width * height > mostPixels)
    return `${width} × ${height} pixels are more than the ${mostPixels} allowed`;
  if (!type?.depths.includes(depth!)) return `its header says colour type ${colour} of ${depth} bits`;
  if (compression !== 0 || filter !== 0 || interlace! > 1)
    return `its header says compression ${compression}, filter ${filter}, interlacing ${interlace}`;
  return { width, height, bits: depth! * type.samples, interlaced: interlace === 1 };
}

/** Bytes of all rows as they are compressed, each behind its filter's byte. */
function dataBytes({ width, height, bits, interlaced }: Header): number {
  const rows = (across: number, down: number) =>
    across === 0 || down === 0 ? 0 : down * (1 + Math.ceil((across * bits) / 8));
  if (!interlaced) return rows(width, height);
  const along = (length: number, start: number, step: number) =>
    Math.max(0, Math.ceil((length - start) / step));
  return passes.reduce((sum, [x, y, dx, dy]) => sum + rows(along(width, x, dx), along(height, y, dy)), 0);
}

/**
 * What is wrong with a PNG before it is decoded: cut chunks, a header that can't be, or compressed pixels that are not as many as the header says; a decoder would fill up what is missing.
 *
 * @param file begins with the signature
 * @returns undefined where nothing is
 */
export function pngFault(file: Uint8Array, mostPixels: number): string | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const name = (at: number) => String.fromCharCode(...file.subarray(at, at + 4));
  if (file.length < 33 || view.getUint32(8) !== 13 || name(12) !== "IHDR") return "it has no whole header";
  const header = headerOf(view, mostPixels);
  if (typeof header === "string") return header;
  const data: Uint8Array[] = [];
  let at = 33;
  for (let ended = false; !ended; ) {
    if (at + 12 > file.length) return "the file is cut";
    const length = view.getUint32(at);
    const kind = name(at + 4);
    if (at + 12 + length > file.length) return "the file is cut";
    if (kind === "IDAT") data.push(file.subarray(at + 8, at + 8 + length));
    ended = kind === "IEND";
    at += 12 + length;
  }
  const expected = dataBytes(header);
  let found: number;
  try {
    found = inflateSync(Buffer.concat(data), { maxOutputLength: expected + 1 }).length;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_BUFFER_TOO_LARGE")
      return "its compressed pixels are cut or damaged";
    found = expected + 1;
  }
  if (found === expected) return undefined;
  const size = `its header says ${header.width} × ${header.height} pixels, ${expected} bytes`;
  return found < expected ? `${size}, and there are ${found}` : `${size}, and there are more`;
}
