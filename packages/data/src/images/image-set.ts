import { DataError } from "../row.ts";

/** Images of one size, with a class each where there are any. */
export interface ImageSet {
  count: number;
  height: number;
  width: number;
  channels: number;
  /** [count × height × width × channels] in row order: bytes, which stand for x/127.5 − 1, or numbers in [−1, 1] as they are. */
  pixels: Uint8Array | Float32Array;
  /** Of each image, from 0. */
  labels?: Int32Array;
  /** What the labels are called. */
  classes?: string[];
}

/** A set of which some parts are changed, checked to be one. */
export function imageSet(parts: ImageSet): ImageSet {
  const { count, height, width, channels, pixels, labels, classes } = parts;
  if (count === 0) throw new DataError("the image set is empty.");
  if (pixels.length !== count * height * width * channels)
    throw new DataError(
      `${pixels.length} values are not ${count} images of ${height} × ${width} × ${channels}.`,
    );
  if (labels && labels.length !== count) throw new DataError(`${labels.length} labels for ${count} images.`);
  const highest = classes?.length ?? 1_000_000;
  labels?.forEach((label, i) => {
    if (!(label >= 0 && label < highest))
      throw new DataError(`image ${i} has the label ${label}; there are ${highest} classes, from 0.`);
  });
  return parts;
}

/** How many classes there are: as many as have names, else up to the highest label; 0 without labels. */
export function classCount({ labels, classes }: ImageSet): number {
  if (!labels) return 0;
  return classes?.length ?? labels.reduce((most, label) => Math.max(most, label), -1) + 1;
}

/** Values in [−1, 1] of the images at some places, in their order; [indices × height × width × channels]. */
export function scaledPixels(
  { pixels, height, width, channels }: ImageSet,
  indices: ArrayLike<number>,
): Float32Array {
  const size = height * width * channels;
  const out = new Float32Array(indices.length * size);
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i]! * size;
    const own = pixels.subarray(from, from + size);
    if (own instanceof Float32Array) out.set(own, i * size);
    else for (let k = 0; k < size; k++) out[i * size + k] = own[k]! / 127.5 - 1;
  }
  return out;
}

/** The images at some places as a set of their own. */
export function selectImages(set: ImageSet, indices: ArrayLike<number>): ImageSet {
  const size = set.height * set.width * set.channels;
  const pixels =
    set.pixels instanceof Uint8Array
      ? new Uint8Array(indices.length * size)
      : new Float32Array(indices.length * size);
  for (let i = 0; i < indices.length; i++)
    pixels.set(set.pixels.subarray(indices[i]! * size, (indices[i]! + 1) * size), i * size);
  return {
    ...set,
    count: indices.length,
    pixels,
    ...(set.labels && { labels: Int32Array.from(indices, (i) => set.labels![i]!) }),
  };
}
