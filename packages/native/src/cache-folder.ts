import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { InstalledManifest } from "./installed-manifest.ts";
import { type Flavour, targetName } from "./target.ts";

export interface CacheOptions {
  /** Folder of fdiv's downloads; default: `FDIV_CACHE`, else `fdiv` in the user's cache folder. */
  cache?: string;
}

/** fdiv's folder for downloads: FDIV_CACHE, or the user's cache folder as the system has it. */
export function cacheFolder(
  environment: NodeJS.ProcessEnv = process.env,
  platform = process.platform,
): string {
  if (environment.FDIV_CACHE) return environment.FDIV_CACHE;
  if (environment.XDG_CACHE_HOME) return join(environment.XDG_CACHE_HOME, "fdiv");
  if (platform === "win32")
    return join(environment.LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "fdiv", "Cache");
  if (platform === "darwin") return join(homedir(), "Library", "Caches", "fdiv");
  return join(homedir(), ".cache", "fdiv");
}

/** Where native installations lie. */
export const nativeRoot = (options: CacheOptions = {}): string =>
  join(options.cache ?? cacheFolder(), "native");

/** Wheels that were verified and wait for the next attempt after a failure. */
export const downloadsFolder = (root: string): string => join(root, "downloads");

/** The manifest of a finished installation in a folder, undefined when there is none or of another kind. */
export function readManifest(folder: string): InstalledManifest | undefined {
  try {
    const manifest = JSON.parse(readFileSync(join(folder, "installed.json"), "utf8")) as InstalledManifest;
    const fits = manifest.platform === process.platform && manifest.arch === process.arch;
    return manifest.format === 1 && fits && typeof manifest.addon?.path === "string" ? manifest : undefined;
  } catch {
    return undefined;
  }
}

export interface FolderOptions extends CacheOptions {
  /** `true`: the CUDA build only; `false`: the CPU build only; default: the CUDA build if there, else the CPU build. */
  gpu?: boolean;
}

/**
 * The folder of a finished installation, undefined when there is none. Reads one small file, loads nothing: whether it
 * works here, loading shows.
 */
export function nativeFolder(options: FolderOptions = {}): string | undefined {
  const flavours: Flavour[] = options.gpu === undefined ? ["gpu", "cpu"] : [options.gpu ? "gpu" : "cpu"];
  return flavours
    .map((flavour) => join(nativeRoot(options), targetName(flavour, process)))
    .find((folder) => readManifest(folder) !== undefined);
}
