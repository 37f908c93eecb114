import { mkdir, readdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import * as tar from "tar";
import { integrityOfFile } from "./file-hash.ts";
import { lastLines, NativeError } from "./native-error.ts";
import type { PinnedPackage } from "./pinned-releases.ts";
import { runCommand } from "./run-command.ts";

/** How npm is started: the one that runs us if it is npm, else the one on the path. */
function npmCommand(): [string, ...string[]] {
  const running = process.env.npm_execpath;
  return running && basename(running) === "npm-cli.js" ? [process.execPath, running] : ["npm"];
}

/** @throws NativeError when there is no npm */
export async function checkNpm(signal?: AbortSignal): Promise<void> {
  const [program, ...args] = npmCommand();
  const { code } = await runCommand(program, [...args, "--version"], { signal, timeout: 60_000 });
  if (code !== 0)
    throw new NativeError(
      "npm is needed to fetch the sources of the binding, and was not found on the path.",
    );
}

/**
 * Fetches a pinned package through the user's npm configuration and unpacks it, without running any of its scripts.
 *
 * @param keep which of its files (paths inside the package) to unpack
 * @param strip how many leading folders of the tarball to leave out; the first is the package
 * @throws NativeError when npm fails or its registry has other content
 */
export async function unpackPackage(
  pinned: PinnedPackage,
  folder: string,
  keep: (path: string) => boolean,
  signal?: AbortSignal,
  strip = 1,
): Promise<void> {
  const name = `${pinned.name}@${pinned.version}`;
  const download = join(folder, `.npm-${pinned.name.replace("/", "-")}`);
  await mkdir(download, { recursive: true });
  try {
    const [program, ...first] = npmCommand();
    const args = [
      ...first,
      "pack",
      name,
      "--pack-destination",
      download,
      "--ignore-scripts",
      "--prefer-offline",
    ];
    const { code, stderr } = await runCommand(program, [...args, "--loglevel", "error"], { signal });
    const [tarball] = (await readdir(download)).filter((file) => file.endsWith(".tgz"));
    if (code !== 0 || !tarball)
      throw new NativeError(
        `npm could not fetch ${name}. Check the network and npm's configuration. npm said:\n${lastLines(stderr)}`,
      );
    const file = join(download, tarball);
    const integrity = await integrityOfFile(file, signal);
    if (integrity !== pinned.integrity)
      throw new NativeError(
        `npm's registry offers another ${name} than the one published (${integrity}); it was not installed.`,
      );
    // tar refuses absolute paths, "..", and links that lead out.
    await tar.extract({
      file,
      cwd: folder,
      strip,
      strict: true,
      preserveOwner: false,
      filter: (path) => keep(path.split("/").slice(1).join("/")),
    });
  } finally {
    await rm(download, { recursive: true, force: true });
  }
}
