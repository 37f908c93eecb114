export { loadUnetDenoiser, saveUnetDenoiser } from "../denoisers/unet-folder.ts";
export { loadAdapter, saveAdapter } from "./adapter-folder.ts";
export { type ConvertOptions, convertCheckpoint } from "./convert.ts";
export { openFileSource } from "./file-source.ts";
export { downloadHub, type HubDownload, type HubOptions, type HubProgress } from "./hub.ts";
export { cacheFolder } from "./hub-cache.ts";
export { type HubReference, parseHubReference } from "./hub-reference.ts";
export {
  type FolderOptions,
  openHuggingFaceFolder,
  openTokenizer,
  type WeightType,
  writeHuggingFaceFolder,
} from "./hugging-face-folder.ts";
export { type LoadOptions, loadCausalLm } from "./load.ts";
export { type HubSettings, localPath, type OpenOptions, openCheckpoint } from "./open-checkpoint.ts";
export { checkpointOf, saveCausalLm } from "./save.ts";
