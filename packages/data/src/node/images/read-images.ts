import { stat } from "node:fs/promises";
import { type ImageSet, imageSet, selectImages } from "../../images/image-set.ts";
import { imagesOfArray, labelsOfArray } from "../../images/images-of-array.ts";
import { resizeImages } from "../../images/resize.ts";
import { DataError } from "../../row.ts";
import { type FolderOptions, readImageFolder } from "./image-folder.ts";
import { readArrayFile } from "./read-array-file.ts";

export interface ReadImagesOptions extends FolderOptions {
  /** Class numbers of an array file's images: IDX or .npy. A folder's classes are its subfolders. */
  labels?: string;
  /** What the lowest and the highest value of a file of floats mean; default [−1, 1]. */
  range?: readonly [low: number, high: number];
}

/**
 * Images of a data set: an IDX or .npy file (gzipped or not), or a folder of PNG and JPEG pictures.
 *
 * @throws DataError saying where and what is wrong
 */
export async function readImages(path: string, options: ReadImagesOptions = {}): Promise<ImageSet> {
  const { labels: labelFile, size, limit, channels, range } = options;
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new DataError(
      error.code === "ENOENT" ? `${path}: no such file or folder.` : `${path}: ${error.message}`,
    );
  });
  if (found.isDirectory()) {
    if (labelFile !== undefined || range)
      throw new DataError(
        `${path}: labels and range are for array files; a folder's classes are its subfolders.`,
      );
    return readImageFolder(path, options);
  }
  const images = imagesOfArray(await readArrayFile(path), path, range ? { range } : {});
  if (channels !== undefined && channels !== images.channels)
    throw new DataError(`${path}: the images have ${images.channels} channels, not ${channels}.`);
  const labels =
    labelFile === undefined ? undefined : labelsOfArray(await readArrayFile(labelFile), labelFile);
  if (labels && labels.length !== images.count)
    throw new DataError(`${labelFile}: ${labels.length} labels for the ${images.count} images of ${path}.`);
  const whole = imageSet({ ...images, ...(labels && { labels }) });
  const some =
    limit === undefined || limit >= whole.count
      ? whole
      : selectImages(
          whole,
          Int32Array.from({ length: limit }, (_, i) => i),
        );
  return size === undefined ? some : resizeImages(some, size, size);
}
