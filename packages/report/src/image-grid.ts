import { encode } from "fast-png";

export interface ImageGridOptions {
  count: number;
  height: number;
  width: number;
  /** 1 or 3. */
  channels: number;
  /** Images a row; default the next whole number above √count. */
  columns?: number;
  /** Each pixel's side; default so that an image is about 56 pixels high. */
  zoom?: number;
}

/**
 * Images side by side as a PNG, a pixel's breadth between them.
 *
 * @param values in [−1, 1], cut to it, [count × height × width × channels]
 * @throws RangeError on sizes that do not fit
 */
export function imageGrid(values: ArrayLike<number>, options: ImageGridOptions): Uint8Array {
  const { count, height, width, channels } = options;
  const { columns = Math.ceil(Math.sqrt(count)), zoom = Math.max(1, Math.round(56 / height)) } = options;
  if (channels !== 1 && channels !== 3)
    throw new RangeError(`imageGrid: ${channels} channels; a picture has 1 or 3.`);
  const size = height * width * channels;
  if (!(count >= 1) || values.length < count * size)
    throw new RangeError(
      `imageGrid: ${values.length} values are not ${count} images of ${height} × ${width} × ${channels}.`,
    );
  const rows = Math.ceil(count / columns);
  const [cellHeight, cellWidth] = [height * zoom + 1, width * zoom + 1];
  const [fullHeight, fullWidth] = [rows * cellHeight + 1, columns * cellWidth + 1];
  const data = new Uint8Array(fullHeight * fullWidth * channels).fill(128);
  for (let n = 0; n < count; n++) {
    const top = 1 + Math.floor(n / columns) * cellHeight;
    const left = 1 + (n % columns) * cellWidth;
    for (let y = 0; y < height * zoom; y++)
      for (let x = 0; x < width * zoom; x++)
        for (let c = 0; c < channels; c++) {
          const at = n * size + (Math.floor(y / zoom) * width + Math.floor(x / zoom)) * channels + c;
          const level = Math.round((Math.min(1, Math.max(-1, values[at]!)) + 1) * 127.5);
          data[((top + y) * fullWidth + left + x) * channels + c] = level;
        }
  }
  return encode({ width: fullWidth, height: fullHeight, data, channels, depth: 8 });
}
