export { loadDenoiser, saveDenoiser } from "../denoisers/denoiser-folder.ts";
export { loadUnetDenoiser, saveUnetDenoiser } from "../denoisers/unet-folder.ts";
export { loadAdapter, saveAdapter } from "./adapter-folder.ts";
export { type ConvertOptions, convertCheckpoint } from "./convert.ts";
export { openFileSource } from "./file-source.ts";
export { downloadHub, type HubDownload, type HubOptions, type HubProgress } from "./hub.ts";
export { cacheFolder } from "./hub-cache.ts";
export { type HubReference, parseHubReference } from "./hub-reference.ts";
export { openHuggingFaceFolder, writeHuggingFaceFolder } from "./hugging-face-folder.ts";
export { type LoadOptions, loadCausalLm } from "./load.ts";
export { type LoadEncoderOptions, loadEncoder, saveEncoder } from "./load-encoder.ts";
export { type LoadT5Options, loadT5, saveT5 } from "./load-t5.ts";
export {
  isTextToImageFolder,
  loadTextDenoiser,
  loadTextSide,
  loadTextToImage,
} from "./load-text-to-image.ts";
export type { FolderOptions } from "./model-folder.ts";
export { type ModelKind, modelKind, modelKindOf } from "./model-kind.ts";
export { type HubSettings, localPath, type OpenOptions, openCheckpoint } from "./open-checkpoint.ts";
export { checkpointOf, saveCausalLm } from "./save.ts";
export { saveTextToImage } from "./save-text-to-image.ts";
export { openTokenizer } from "./tokenizer-folder.ts";
export { loadValueHead, saveValueHead } from "./value-head-folder.ts";
export type { WeightType } from "./weights-folder.ts";
