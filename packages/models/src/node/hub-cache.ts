import { copyFile, link, mkdir, readFile, rename, stat, unlink, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { HubReference } from "./hub-reference.ts";

/** A file of a repository, as the hub lists it. */
export interface HubFile {
  path: string;
  size?: number;
  /** Of large files. */
  sha256?: string;
  /** Git's hash of small files: SHA-1 of "blob", the size and the content. */
  gitHash?: string;
}

/** What a revision stood for when it was last asked. */
export interface HubSnapshot {
  commit: string;
  files: HubFile[];
}

/** The folder for downloads: FDIV_CACHE, or the user's cache folder as the system has it. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  if (environment.FDIV_CACHE) return environment.FDIV_CACHE;
  if (environment.XDG_CACHE_HOME) return join(environment.XDG_CACHE_HOME, "fdiv");
  if (process.platform === "win32")
    return join(environment.LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "fdiv", "Cache");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "fdiv");
  return join(homedir(), ".cache", "fdiv");
}

export const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

function repoFolder(cache: string, { kind, repo }: HubReference): string {
  return join(cache, "hub", `${kind}s`, repo.replace("/", "--"));
}

/** Where a revision's files are found under their own names. */
export function snapshotFolder(cache: string, reference: HubReference, commit: string): string {
  return join(repoFolder(cache, reference), "snapshots", commit);
}

/** Where content lies, by its hash; equal files of different revisions share it. */
export function blobPath(cache: string, reference: HubReference, commit: string, file: HubFile): string {
  const key = file.sha256
    ? join("sha256", file.sha256)
    : file.gitHash
      ? join("git", file.gitHash)
      : join("unhashed", `${reference.repo.replace("/", "--")}-${commit}-${encodeURIComponent(file.path)}`);
  return join(cache, "hub", "blobs", key);
}

function listingPath(cache: string, reference: HubReference): string {
  return join(repoFolder(cache, reference), "revisions", `${encodeURIComponent(reference.revision)}.json`);
}

/** The listing that was kept of a revision, if any. */
export async function readListing(cache: string, reference: HubReference): Promise<HubSnapshot | undefined> {
  try {
    return JSON.parse(await readFile(listingPath(cache, reference), "utf8"));
  } catch {
    return undefined;
  }
}

/** Keeps a revision's listing for working offline. */
export async function writeListing(
  cache: string,
  reference: HubReference,
  snapshot: HubSnapshot,
): Promise<void> {
  const path = listingPath(cache, reference);
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, JSON.stringify(snapshot));
  await rename(temporary, path);
}

/** Gives a blob its name in a snapshot, by a hard link where the file system has them. */
export async function linkBlob(blob: string, path: string): Promise<void> {
  if (await exists(path)) return;
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  await unlink(temporary).catch(() => undefined);
  await link(blob, temporary).catch(() => copyFile(blob, temporary));
  await rename(temporary, path);
}
