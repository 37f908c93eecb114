import { DataError } from "../row.ts";
import type { ImageSet } from "./image-set.ts";

/** Which source places a target place averages, and by what share of each. */
function overlaps(from: number, to: number): { first: number; weights: number[] }[] {
  const scale = from / to;
  return Array.from({ length: to }, (_, i) => {
    const [low, high] = [i * scale, (i + 1) * scale];
    const first = Math.floor(low + 1e-9);
    const last = Math.min(from - 1, Math.ceil(high - 1e-9) - 1);
    const weights: number[] = [];
    for (let j = first; j <= last; j++) weights.push((Math.min(high, j + 1) - Math.max(low, j)) / scale);
    return { first, weights };
  });
}

/**
 * Images of another size by area averaging: each pixel is the mean of the source's area under it, so that no detail aliases.
 *
 * @throws DataError on a size that is none
 */
export function resizeImages(set: ImageSet, height: number, width: number): ImageSet {
  for (const size of [height, width])
    if (!Number.isSafeInteger(size) || size < 1 || size > 4096)
      throw new DataError(`images of ${height} × ${width} can't be made; expected 1 to 4096.`);
  if (height === set.height && width === set.width) return set;
  const { count, channels } = set;
  const rows = overlaps(set.height, height);
  const columns = overlaps(set.width, width);
  const isBytes = set.pixels instanceof Uint8Array;
  const size = height * width * channels;
  const pixels = isBytes ? new Uint8Array(count * size) : new Float32Array(count * size);
  const narrow = new Float64Array(set.height * width * channels);
  for (let n = 0; n < count; n++) {
    const image = n * set.height * set.width * channels;
    narrow.fill(0);
    for (let y = 0; y < set.height; y++)
      columns.forEach(({ first, weights }, x) => {
        weights.forEach((weight, j) => {
          const at = image + (y * set.width + first + j) * channels;
          for (let c = 0; c < channels; c++)
            narrow[(y * width + x) * channels + c]! += weight * set.pixels[at + c]!;
        });
      });
    rows.forEach(({ first, weights }, y) => {
      for (let k = 0; k < width * channels; k++) {
        let sum = 0;
        weights.forEach((weight, j) => {
          sum += weight * narrow[(first + j) * width * channels + k]!;
        });
        pixels[n * size + y * width * channels + k] = isBytes ? Math.round(sum) : sum;
      }
    });
  }
  return { ...set, height, width, pixels };
}
