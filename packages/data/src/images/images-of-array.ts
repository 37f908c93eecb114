import { DataError } from "../row.ts";
import { type ImageSet, imageSet } from "./image-set.ts";
import type { NumberArray } from "./number-array.ts";

/**
 * An array [count, height, width] or [count, height, width, channels] as images; floats go from `range` to [−1, 1].
 *
 * @param options.range what the lowest and the highest value of floats or wide integers mean
 * @throws DataError on other shapes, values outside of the range, or a range that is missing
 */
export function imagesOfArray(
  { shape, kind, values }: NumberArray,
  source: string,
  { range }: { range?: readonly [low: number, high: number] } = {},
): ImageSet {
  const [count = 0, height = 0, width = 0, channels = 1] = shape;
  const known = shape.length === 3 || (shape.length === 4 && [1, 3, 4].includes(channels));
  if (!known)
    throw new DataError(
      `${source}: the shape is [${shape}], expected [count, height, width] or [count, height, width, channels] with 1, 3 or 4 channels.`,
    );
  const sizes = { count, height, width, channels };
  if (values instanceof Uint8Array) {
    if (range) throw new DataError(`${source}: a range is for floats; bytes are 0 to 255.`);
    return imageSet({ ...sizes, pixels: values });
  }
  if (kind === "integers" && !range)
    throw new DataError(`${source}: integers wider than a byte need range, such as [0, 255].`);
  const [low, high] = range ?? [-1, 1];
  if (!(high > low)) throw new DataError(`${source}: the range [${low}, ${high}] is none.`);
  const pixels = new Float32Array(values.length);
  const slack = 1e-3 * (high - low);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!(value >= low - slack && value <= high + slack))
      throw new DataError(
        `${source}: value ${i} is ${value}, outside of [${low}, ${high}]; say by range what the values run over.`,
      );
    pixels[i] = (2 * (value - low)) / (high - low) - 1;
  }
  return imageSet({ ...sizes, pixels });
}

/**
 * An array [count] of class numbers.
 *
 * @throws DataError on another shape, or values that are no class
 */
export function labelsOfArray({ shape, values }: NumberArray, source: string): Int32Array {
  if (shape.length !== 1)
    throw new DataError(`${source}: labels have the shape [${shape}], expected [count].`);
  const labels = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const label = values[i]!;
    if (!Number.isInteger(label) || label < 0 || label >= 1_000_000)
      throw new DataError(`${source}: label ${i} is ${label}, expected an integer from 0.`);
    labels[i] = label;
  }
  return labels;
}
