export {
  type CacheOptions,
  cacheFolder,
  type FolderOptions,
  nativeFolder,
  nativeRoot,
} from "./cache-folder.ts";
export { type Installation, type InstallOptions, installNative } from "./install.ts";
export type { InstalledFile, InstalledManifest } from "./installed-manifest.ts";
export { type LoadOptions, loadNative, type NativeLibrary } from "./load.ts";
export { NativeError } from "./native-error.ts";
export type { PinnedPackage, PinnedWheel } from "./pinned-releases.ts";
export type { InstallProgress } from "./progress.ts";
export type { SelfTestReport } from "./self-test.ts";
export { type NativeStatus, nativeStatus, type Removed, type RemoveOptions, removeNative } from "./status.ts";
export { type Flavour, type Machine, type NativeTarget, nativeTarget } from "./target.ts";
