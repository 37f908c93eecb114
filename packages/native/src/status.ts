import { readdir, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type CacheOptions, downloadsFolder, nativeRoot, readManifest } from "./cache-folder.ts";
import { withLock } from "./install-lock.ts";
import { folderBytes, type InstalledManifest } from "./installed-manifest.ts";
import { explainSystemError } from "./native-error.ts";
import { type SelfTestReport, selfTest } from "./self-test.ts";
import { type Flavour, targetName } from "./target.ts";

/** One build's installation, or that there is none. */
export interface NativeStatus {
  flavour: Flavour;
  folder: string;
  installed: boolean;
  manifest?: InstalledManifest;
  /** What the folder takes on disk. */
  bytes: number;
  /** It is installed, its files have their sizes, and it loads in this Node and computes. */
  works: boolean;
  report?: SelfTestReport;
  /** Why it does not work. */
  problem?: string;
}

const flavours: readonly Flavour[] = ["cpu", "gpu"];

async function wrongFile(folder: string, manifest: InstalledManifest): Promise<string | undefined> {
  for (const { path, bytes } of manifest.files) {
    const size = (await stat(join(folder, path)).catch(() => undefined))?.size;
    if (size !== bytes)
      return size === undefined ? `${path} is missing` : `${path} has ${size} bytes, not ${bytes}`;
  }
  return undefined;
}

async function statusOf(flavour: Flavour, root: string, signal?: AbortSignal): Promise<NativeStatus> {
  const folder = join(root, targetName(flavour, process));
  const manifest = readManifest(folder);
  const bytes = await folderBytes(folder);
  if (!manifest) return { flavour, folder, installed: false, bytes, works: false };
  const found = { flavour, folder, installed: true, manifest, bytes };
  const wrong = await wrongFile(folder, manifest);
  if (wrong) return { ...found, works: false, problem: `${wrong}; install again` };
  try {
    const report = await selfTest(folder, { signal, gpu: flavour === "gpu" });
    return { ...found, works: true, report };
  } catch (error) {
    signal?.throwIfAborted();
    return { ...found, works: false, problem: (error as Error).message };
  }
}

/** What is installed for this machine, and whether it loads in this Node: tried in a process of its own. */
export async function nativeStatus(
  options: CacheOptions & { signal?: AbortSignal } = {},
): Promise<NativeStatus[]> {
  const root = resolve(nativeRoot(options));
  const found: NativeStatus[] = [];
  for (const flavour of flavours) found.push(await statusOf(flavour, root, options.signal));
  return found;
}

export interface RemoveOptions extends CacheOptions {
  /** `true`: the CUDA build only; `false`: the CPU build only; default: both, every version, and kept downloads. */
  gpu?: boolean;
  signal?: AbortSignal;
}

/** A folder that was removed, and what it took on disk. */
export interface Removed {
  folder: string;
  bytes: number;
}

/** Removes installations of every version for every machine that shares the cache, and wheels kept for another attempt. */
export async function removeNative(options: RemoveOptions = {}): Promise<Removed[]> {
  const root = resolve(nativeRoot(options));
  const wanted = flavours.filter(
    (flavour) => options.gpu === undefined || options.gpu === (flavour === "gpu"),
  );
  const removed: Removed[] = [];
  const remove = async (folder: string): Promise<void> => {
    const bytes = await folderBytes(folder);
    await rm(folder, { recursive: true, force: true }).catch((error: unknown) => {
      throw explainSystemError(error, folder);
    });
    removed.push({ folder, bytes });
  };
  const entries = await readdir(root).catch(() => [] as string[]);
  for (const entry of entries) {
    if (!wanted.some((flavour) => entry.startsWith(`${flavour}-tf`)) || entry.endsWith(".lock")) continue;
    const name = entry.replace(/\.(partial|old)-\d+$/, "");
    await withLock(join(root, `${name}.lock`), () => remove(join(root, entry)), {
      signal: options.signal,
      patience: 0,
    });
  }
  if (options.gpu === undefined && entries.includes("downloads")) await remove(downloadsFolder(root));
  return removed;
}
