export { decodeImage, type Picture } from "./images/decode-image.ts";
export { type FolderOptions, mostFileBytes, pictureOf, readImageFolder } from "./images/image-folder.ts";
export { readArrayFile, readBounded } from "./images/read-array-file.ts";
export { type Captioned, type CaptionOptions, readCaptions } from "./images/read-captions.ts";
export { type ReadImagesOptions, readImages } from "./images/read-images.ts";
export { type ReadOptions, readRows } from "./read-rows.ts";
export { type ReadTaskOptions, readTask } from "./read-task.ts";
export {
  findTaskFile,
  sameFile,
  type TaskFiles,
  type TaskPlace,
  type TaskSplit,
  taskFile,
} from "./task-files.ts";
