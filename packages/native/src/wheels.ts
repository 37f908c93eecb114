import { mkdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { sha256OfFile } from "./file-hash.ts";
import { NativeError } from "./native-error.ts";
import type { PinnedWheel } from "./pinned-releases.ts";
import { type Pip, pipDownload } from "./pip.ts";

/** A wheel whose content is the pinned one. */
export interface VerifiedWheel {
  wheel: PinnedWheel;
  path: string;
  /** Given by the user, kept from an earlier attempt, or downloaded now. */
  origin: "given" | "kept" | "downloaded";
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/**
 * Which of the given files and folders holds which wheel, by file name; a single file may have any name where a single
 * wheel is needed.
 *
 * @throws NativeError for a path that does not exist or fits no wheel
 */
export async function matchGiven(
  wheels: readonly PinnedWheel[],
  given: readonly string[],
): Promise<Map<PinnedWheel, string>> {
  const matched = new Map<PinnedWheel, string>();
  for (const path of given) {
    const found = await stat(path).catch(() => undefined);
    if (!found) throw new NativeError(`--wheel ${path}: there is no such file or folder.`);
    const candidates = wheels.filter((wheel) => found.isDirectory() || wheel.file === basename(path));
    if (!found.isDirectory() && candidates.length === 0 && wheels.length === 1) candidates.push(wheels[0]!);
    let fits = false;
    for (const wheel of candidates) {
      const file = found.isDirectory() ? join(path, wheel.file) : path;
      if (!(await isFile(file))) continue;
      matched.set(wheel, file);
      fits = true;
    }
    if (!fits)
      throw new NativeError(
        `--wheel ${path}: none of the wheels needed here, which are\n${wheels.map(({ file }) => `  ${file}`).join("\n")}`,
      );
  }
  return matched;
}

/** @throws NativeError when a file is not the pinned wheel */
export async function verifyWheel(wheel: PinnedWheel, path: string, signal?: AbortSignal): Promise<void> {
  const { size } = await stat(path);
  const hash = size === wheel.bytes ? await sha256OfFile(path, signal) : undefined;
  if (hash === wheel.sha256) return;
  const found = hash ? `SHA-256 ${hash}` : `${size} bytes`;
  const expected = hash ? wheel.sha256 : `${wheel.bytes} bytes`;
  throw new NativeError(
    `${path} is not the ${wheel.file} that was published: ${found}, where ${expected} is expected. It may be cut short; fetch it again.`,
  );
}

/** The kept wheel of an earlier attempt; one that is no longer whole is removed. */
export async function keptWheel(
  wheel: PinnedWheel,
  downloads: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const path = join(downloads, wheel.file);
  if (!(await isFile(path))) return undefined;
  try {
    await verifyWheel(wheel, path, signal);
    return path;
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    await rm(path, { force: true });
    return undefined;
  }
}

/** Downloads a wheel, verifies it, and only then gives it its name among the kept ones. */
export async function downloadWheel(
  pip: Pip,
  wheel: PinnedWheel,
  downloads: string,
  options: { signal?: AbortSignal; onBytes?(bytes: number): void } = {},
): Promise<string> {
  await mkdir(downloads, { recursive: true });
  const folder = join(downloads, `.partial-${process.pid}-${wheel.project}`);
  await rm(folder, { recursive: true, force: true });
  try {
    const fetched = await pipDownload(pip, wheel, folder, options);
    if (!(await isFile(fetched)))
      throw new NativeError(
        `${pip.command.join(" ")} downloaded no ${wheel.file}. Pass the file with --wheel.`,
      );
    await verifyWheel(wheel, fetched, options.signal);
    const path = join(downloads, wheel.file);
    await rename(fetched, path);
    return path;
  } finally {
    await rm(folder, { recursive: true, force: true });
    // Stays while it holds a wheel.
    await rmdir(downloads).catch(() => undefined);
  }
}
