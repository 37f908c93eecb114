import { readdir, stat, writeFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { sha256OfFile } from "./file-hash.ts";
import type { SelfTestReport } from "./self-test.ts";
import type { Flavour } from "./target.ts";

/** One file of an installation. */
export interface InstalledFile {
  /** Relative to the folder, with forward slashes. */
  path: string;
  bytes: number;
  sha256: string;
}

/** fdiv's own operations of one version, compiled for one processor. */
export interface OperationsBuild {
  path: string;
  version: number;
  processor: string;
  compiler: string;
}

/** `installed.json`: written last, so that its presence says that the folder is whole and passed its test. */
export interface InstalledManifest {
  format: 1;
  flavour: Flavour;
  tensorflow: string;
  tfjsNode: string;
  platform: string;
  arch: string;
  /** ISO 8601. */
  installedAt: string;
  wheels: { file: string; sha256: string }[];
  packages: { name: string; version: string; integrity: string }[];
  /** `compiler` is missing for a prebuilt addon. */
  addon: { path: string; compiler?: string };
  /** fdiv's own operations, a build a version, since programs of several versions share an installation; missing where there was no compiler, or it failed. */
  operationBuilds?: OperationsBuild[];
  stripped: boolean;
  /** Of the whole folder. */
  bytes: number;
  /** Libraries, the addon and the loader; the remaining files are in `bytes` only. */
  files: InstalledFile[];
  selfTest: SelfTestReport;
}

/** Every file below a folder, relative to it, sorted; links are not followed. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) =>
      relative(folder, join(entry.parentPath ?? entry.path, entry.name))
        .split(sep)
        .join("/"),
    )
    .sort();
}

/** Bytes of every file below a folder; 0 when it does not exist. */
export async function folderBytes(folder: string): Promise<number> {
  const files = await filesBelow(folder).catch(() => []);
  const sizes = await Promise.all(files.map(async (path) => (await stat(join(folder, path))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Sizes and hashes of what is compiled or taken from wheels, and of the loader. */
export async function describeFiles(folder: string, signal?: AbortSignal): Promise<InstalledFile[]> {
  const described: InstalledFile[] = [];
  for (const path of await filesBelow(folder)) {
    if (!/^(deps\/(?!include\/)|lib\/|(load|processor)\.cjs$)/.test(path)) continue;
    const file = join(folder, path);
    described.push({ path, bytes: (await stat(file)).size, sha256: await sha256OfFile(file, signal) });
  }
  return described;
}

/** Writes the manifest that makes a folder an installation. */
export const writeManifest = (folder: string, manifest: InstalledManifest): Promise<void> =>
  writeFile(join(folder, "installed.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
